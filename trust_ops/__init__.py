"""The command `trust-otel`, for operators of trust services."""
