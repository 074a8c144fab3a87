"""Checks of PromQL in rules, dashboards and runbooks against the vocabulary, without a running Prometheus."""
