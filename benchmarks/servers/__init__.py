"""Compares servers with and without trust-otel: answers, log, exit status, time to end, and what is counted."""
