"""Sources of the Grafana dashboards: `python -m monitoring.dashboards` writes them into monitoring/grafana/.

`queries` makes PromQL of the registry's metrics, `limits` reads thresholds from the alert rules, `panels` makes panels
of both, `frame` gives all dashboards the same variables, annotations and links; then a module for each dashboard.
`files` writes them all as text, and `catalogue` the page of the documentation about them.
"""
