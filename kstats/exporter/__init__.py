"""``kstats exporter``: counters of samples, served to Prometheus.

::

    feed (live, or a recording) ─► samples ─► Metrics ─► Page ─► HTTP, or a file for node_exporter

One worker thread takes samples and makes pages (:mod:`kstats.exporter.sampler`); an event loop in
the main thread serves them (:mod:`kstats.exporter.daemon`). Clients get finished bytes, so none of
them can delay counting.
"""
