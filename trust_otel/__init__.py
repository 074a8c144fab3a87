"""OpenTelemetry distribution for services that issue, validate and sign certificates and documents."""
