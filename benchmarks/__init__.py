"""Cost of trust-otel beside its peers, measured in one run on one machine."""
