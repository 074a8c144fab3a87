"""Manages access to Grafana and tokens of service accounts through its HTTP API."""
