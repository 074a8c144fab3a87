"""Compares servers with and without trust-otel: responses, log, exit status, shutdown time and metrics."""
