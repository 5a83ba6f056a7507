"""Tests of the source that reads Prometheus' HTTP API."""
