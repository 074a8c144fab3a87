"""The command `trust-otel`: everything that operators of trust services run."""
