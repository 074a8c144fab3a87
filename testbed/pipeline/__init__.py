"""Agent, gateways and Prometheus on loopback, with TLS, client certificates and tokens on every hop."""
