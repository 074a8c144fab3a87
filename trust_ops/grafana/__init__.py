"""Grafana over its HTTP API: who sees which folder, and tokens of service accounts."""
