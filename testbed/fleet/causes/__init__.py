"""How often `trust-otel explain` finds the true cause of an alert.

`cases` generates seeded incidents with a known cause, `week` knows the causes of the replayed week, `measure` explains
their alerts with a real Prometheus, and compares with the largest absolute change.
"""
