"""Cost of trust-otel compared with its peers, measured in one run on one machine."""
