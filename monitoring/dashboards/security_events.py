"""The dashboard of single security events, for sites with Loki.

Loki's OTLP endpoint stores attributes as structured metadata, with `_` for each dot, and the body as the line. Older
versions drop the name of an event, so queries do not read it: the line is one sentence for each kind of event.
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import logs, loki, stat
from grafana_foundation_sdk.models.common import LogsDedupStrategy, LogsSortOrder
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DataSourceRef, VariableOption

from monitoring.dashboards.panels import PanelText, Query, stat_panel
from monitoring.dashboards.queries import TIME_RANGE, increase
from monitoring.dashboards.security.overview import COUNTED_EVENTS
from monitoring.dashboards.template import SECURITY, SECURITY_EVENTS, add_rows, new_dashboard, panel_url
from monitoring.dashboards.thresholds import PLAIN
from trust_otel.metrics.event import SCOPE
from trust_otel.semconv import events
from trust_otel.semconv.attributes import CLIENT_ADDRESS, TRUST_AUDIT_ACTION

_LOGS: Final = DataSourceRef(type_val="loki", uid="${logs}")
_NEWEST: Final = 200

# Loki requires a matcher that excludes the empty value. Everything else may be a label or structured metadata.
_EVENTS: Final = (
    f'{{service_name=~".+", service_name=~"$service"}} | scope_name="{SCOPE}" '
    '| deployment_environment_name="$environment" | service_instance_id=~"$instance"'
)
_ACTION: Final = TRUST_AUDIT_ACTION.label

# A label that an event does not have is empty.
_DETAILS: Final = tuple(
    dict.fromkeys(
        attribute.label
        for event in events.ALL.values()
        for attribute in event.attributes
        if attribute not in (CLIENT_ADDRESS, TRUST_AUDIT_ACTION)
    )
)

_NO_EVENTS: Final = (
    "No event in the selected time range, or services do not export events. Compare with the events that the metrics "
    "count."
)


def dashboard() -> builders.Dashboard:
    """The dashboard with its panels."""
    empty = new_dashboard(
        SECURITY_EVENTS,
        "Trust service: security events",
        "Single security, audit and compliance events from Loki. For SOC analysts and compliance officers.",
    ).with_variable(
        builders.DatasourceVariable("logs")
        .label("Logs")
        .description("Loki data source with the events.")
        .type("loki")
        .current(VariableOption(selected=True, text="Logs", value="logs"))
    )
    return add_rows(
        empty,
        {
            "Completeness": (_counted(), _stored()),
            "Events": (
                _feed(
                    1,
                    "Security and compliance events",
                    "service, what happened, the labels under which it was counted, the client's address in the "
                    "form of TRUST_OTEL_CLIENT_ADDRESS, and the trace id",
                    "Start with ERROR. Open an event for all of its attributes and the link to its trace.",
                    f'{_ACTION}=""',
                    f"{{{{.{CLIENT_ADDRESS.label}}}}}",
                ),
                _feed(
                    2,
                    "Audit records",
                    "service, outcome, action and trace id",
                    "WARN: the operation failed. Find out who tried it in the audit log of the service.",
                    f'{_ACTION}!=""',
                    f"{{{{.{_ACTION}}}}}",
                ),
            ),
        },
    )


def _feed(panel_id: int, title: str, columns: str, action: str, matcher: str, last: str) -> logs.Panel:
    details = " ".join(f"{{{{.{label}}}}}" for label in _DETAILS)
    trace = "{{if .trace_id}}trace {{.trace_id}}{{end}}"
    line = f"{{{{.severity_text}}}} {{{{.service_name}}}}: {{{{__line__}}}} {details} {last} {trace}"
    return (
        logs.Panel()
        .id(panel_id)
        .title(title)
        .description(f"The {_NEWEST} newest events: time, severity, {columns}.\n\n**What to do:** {action}")
        .datasource(_LOGS)
        .no_value(_NO_EVENTS)
        .links([builders.DashboardLink("Counts").type(DashboardLinkType.LINK).url(panel_url(SECURITY, 1))])
        .span(24)
        .height(14)
        .show_time(True)
        .show_labels(False)
        .show_common_labels(False)
        .wrap_log_message(True)
        .prettify_log_message(False)
        .enable_log_details(True)
        .sort_order(LogsSortOrder.DESCENDING)
        .dedup_strategy(LogsDedupStrategy.NONE)
        .with_target(_query(f"{_EVENTS} | {matcher} | line_format `{line}`").max_lines(_NEWEST))
    )


def _counted() -> stat.Panel:
    counted = " or ".join(increase(metric, *matchers) for metric, matchers in COUNTED_EVENTS)
    return stat_panel(
        PanelText(
            3,
            "Events counted by the metrics",
            "Failures, incidents and audit records in the selected time range, exported as events or not.",
            "Compare with the events in Loki.",
            "No service records security events.",
        ),
        "short",
        (Query("Counted", f"round(sum({counted}))"),),
        sparkline=False,
        width=12,
    )


def _stored() -> stat.Panel:
    panel = stat_panel(
        PanelText(
            4,
            "Events in Loki",
            "Events of the selected time range in Loki.",
            "Far fewer than the metrics count: services do not export events (OTEL_LOGS_EXPORTER, TRUST_OTEL_EVENTS), "
            "reach the limit per minute, or the Collector does not deliver them. Then this dashboard is incomplete.",
            _NO_EVENTS,
        ),
        "short",
        (),
        levels=PLAIN,
        sparkline=False,
        width=12,
    )
    return panel.datasource(_LOGS).with_target(
        _query(f"sum(count_over_time({_EVENTS} [{TIME_RANGE}]))").instant(True).query_type("instant")
    )


def _query(logql: str) -> loki.Dataquery:
    return loki.Dataquery().ref_id("A").datasource(_LOGS).expr(logql).query_type("range")
