"""Samples of hosts that ``kstats exporter`` runs on, read back through Prometheus' HTTP API.

::

    address = Address.parse('prom+http://localhost:9090?match={instance="host:9991"}&range=1h')
    for sample in Hosts.find(Client(address.url), address).samples():
        ...

The API is that of Prometheus; Thanos, Mimir and VictoriaMetrics have the same one.
"""

from __future__ import annotations

from kstats.prometheus.address import Address
from kstats.prometheus.client import Access, Client
from kstats.prometheus.hosts import Hosts

__all__ = ["Access", "Address", "Client", "Hosts"]
