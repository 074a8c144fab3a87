"""The demo: stack, service and traffic in one terminal, with all values read from Prometheus."""
