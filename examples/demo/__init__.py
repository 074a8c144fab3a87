"""The demo: stack, service and traffic in one terminal, every number read from Prometheus."""
