"""`trust-otel explain`: what changed when an alert began to fire, and the likely causes, from Prometheus alone.

`history` queries Prometheus, `alert` finds the alert, its times and the metrics of its rule, `events` counts what each
series counted before and during, `causes` ranks what explains the difference, `report` formats it.
"""
