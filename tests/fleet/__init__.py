"""kstats on real engines: Prometheus, Alertmanager and VictoriaMetrics of Debian's packages."""
