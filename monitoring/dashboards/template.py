"""What all dashboards have in common: variables, annotations, and links to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Generic, TypeVar

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Panel,
    VariableHide,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from trust_otel.semconv.metrics import TRUST_OTEL_INSTANCE_UP

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG: Final = "trust-otel"
RUNBOOKS: Final = "https://runbooks.marty.com"
INTERVALS: Final = ("15s", "1m", "5m", "15m", "1h")

OPERATIONAL: Final = "trust-service-operational"
SECURITY: Final = "trust-service-security"
BUSINESS: Final = "trust-service-business"
MONITORING: Final = "trust-service-monitoring"

# Panels have the numbers below.
_FIRST_ROW = 100

_HEARTBEAT = TRUST_OTEL_INSTANCE_UP.prometheus_name
_IN_ENVIRONMENT = 'deployment_environment_name=~"$environment"'
_OF_SERVICE = f'{_IN_ENVIRONMENT}, service_name=~"$service"'


def panel_url(uid: str, number: int | str) -> str:
    """Path of one panel of a dashboard, for the same services and time; `number` may be a variable of a data link."""
    variables = "&".join(f"${{{name}:queryparam}}" for name in ("datasource", "environment", "service", "instance"))
    return f"/d/{uid}?viewPanel={number}&${{__url_time_range}}&{variables}"


def runbook_url(alert: str) -> str:
    """Address of the runbook of an alert."""
    return f"${{runbooks}}/{alert}"


def new_dashboard(uid: str, title: str, description: str, shown: str = "now-1h") -> builders.Dashboard:
    """A dashboard without panels; `shown` is where its time begins."""
    frame = (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time(shown, "now")
        .links([_others()])
    )
    for variable in _variables():
        frame = frame.with_variable(variable)
    for annotation in _ANNOTATIONS:
        frame = frame.annotation(_Ready(annotation))
    return frame


def fill(frame: builders.Dashboard, sections: Mapping[str, Sequence[Builder[Panel]]]) -> builders.Dashboard:
    """Add a row for each section, under its title, with its panels."""
    for number, (title, panels) in enumerate(sections.items(), start=_FIRST_ROW):
        frame = frame.with_row(builders.Row(title).id(number))
        for panel in panels:
            frame = frame.with_panel(panel)
    return frame


def _others() -> builders.DashboardLink:
    return (
        builders.DashboardLink("Trust service dashboards")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )


def _variables() -> list[Builder[VariableModel]]:
    return [
        builders.DatasourceVariable("datasource")
        .label("Data source")
        .description("The Prometheus that is asked.")
        .type("prometheus"),
        _label_variable("environment", "Environment", f"label_values({_HEARTBEAT}, deployment_environment_name)"),
        _label_variable("service", "Service", f"label_values({_HEARTBEAT}{{{_IN_ENVIRONMENT}}}, service_name)"),
        _label_variable(
            "instance",
            "Instance",
            f"label_values({_HEARTBEAT}{{{_OF_SERVICE}}}, service_instance_id)",
        ),
        builders.IntervalVariable("interval")
        .label("Resolution")
        .description(
            "The smallest distance of two points; the export interval of the services is the finest that makes sense."
        )
        .values(",".join(INTERVALS))
        .current(VariableOption(selected=True, text=INTERVALS[0], value=INTERVALS[0]))
        .options([VariableOption(selected=each == INTERVALS[0], text=each, value=each) for each in INTERVALS]),
        _runbooks(),
    ]


def _runbooks() -> Builder[VariableModel]:
    variable = builders.ConstantVariable("runbooks").description("Where the runbooks are published.").value(RUNBOOKS)
    model = variable.build()
    model.hide = VariableHide.HIDE_VARIABLE
    return _Ready(model)


def _label_variable(name: str, label: str, query: str) -> builders.QueryVariable:
    # `.*` finds series without the label too: a service need not say in which environment it runs.
    return (
        builders.QueryVariable(name)
        .label(label)
        .description(f"{label}s that have been heard of in the time shown.")
        .datasource(SOURCE)
        .query({"query": query, "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


Model = TypeVar("Model")


class _Ready(Builder[Model], Generic[Model]):
    """A model that the SDK's builders cannot make whole."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def build(self) -> Model:
        return self._model


class _Annotation(AnnotationQuery):
    """An annotation of the Prometheus data source, which has more fields than the SDK knows."""

    def __init__(self, name: str, colour: str, expression: str, title: str, text: str, tags: str) -> None:
        super().__init__(name=name, datasource=SOURCE, enable=True, icon_color=colour, hide=False, expr=expression)
        self._more = {"titleFormat": title, "textFormat": text, "tagKeys": tags, "step": "1m"}

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), **self._more}


_FIRING = (
    'ALERTS{alertname=~"Trust.+", alertname!~"TrustWatchdog|TrustEscalation", alertstate="firing", severity="critical"}'
)

# Each is a moment: what is there now and was not a minute ago. An alert that fires for hours would hide the graphs.
_ANNOTATIONS: Final = (
    _Annotation(
        "Deployments",
        "blue",
        # A version that answers and did not a minute ago, although somebody did.
        f"""count by (service_name, service_version) ({_HEARTBEAT}{{{_OF_SERVICE}}})
unless count by (service_name, service_version) ({_HEARTBEAT}{{{_OF_SERVICE}}} offset 1m)
and on (service_name) count by (service_name) ({_HEARTBEAT}{{{_OF_SERVICE}}} offset 1m)""",
        "Deployment of {{service_name}}",
        "version {{service_version}}",
        "service_name,service_version",
    ),
    _Annotation(
        "Firing alerts",
        "red",
        f"""max by (alertname, severity, service) ({_FIRING})
unless max by (alertname, severity, service) ({_FIRING} offset 1m)""",
        "{{alertname}}",
        "{{severity}} {{service}}",
        "severity",
    ),
)
