"""Counts a known number of events in every process model: sent, pushed over OTLP, and pulled from the endpoint."""
