"""Sources of the Grafana dashboards. `python -m monitoring.dashboards` writes them to monitoring/grafana/.

`queries` builds PromQL for the metrics of the registry, `thresholds` turns numbers into colours, `panels`
builds panels, and `template` adds the variables, annotations and links that all dashboards share. Each dashboard is a
package. `files` renders them as JSON, and `catalogue` renders docs/dashboards.md.
"""
