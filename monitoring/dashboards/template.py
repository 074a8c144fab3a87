"""What all dashboards share: variables, annotations and links to each other."""

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

from monitoring.dashboards.queries import TIME_RANGE, with_instance_name
from trust_otel.semconv.metrics import TRUST_OTEL_INSTANCE_UP

DATA_SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG: Final = "trust-otel"
RUNBOOKS: Final = "<<runbooks>>"
"""A placeholder of `trust_ops.site_config.dashboards`."""
INTERVALS: Final = ("15s", "1m", "5m", "15m", "1h")

OPERATIONAL: Final = "trust-service-operational"
SECURITY: Final = "trust-service-security"
BUSINESS: Final = "trust-service-business"
MONITORING: Final = "trust-service-monitoring"
PKI: Final = "trust-service-pki"
SECURITY_EVENTS: Final = "trust-service-security-events"

# Panel ids are lower.
_FIRST_ROW_ID = 100

_INSTANCE_UP = TRUST_OTEL_INSTANCE_UP.prometheus_name
_IN_ENVIRONMENT = 'deployment_environment_name="$environment"'
_OF_SERVICE = f'{_IN_ENVIRONMENT}, service_name=~"$service"'


def panel_url(uid: str, number: int | str) -> str:
    """Path of a panel, which keeps time range and variables. `number` may be a variable of a data link."""
    variables = "&".join(f"${{{name}:queryparam}}" for name in ("datasource", "environment", "service", "instance"))
    return f"/d/{uid}?viewPanel={number}&${{__url_time_range}}&{variables}"


def runbook_url(alert: str) -> str:
    """URL of the runbook of an alert."""
    return f"${{runbooks}}/{alert}"


def new_dashboard(uid: str, title: str, description: str, shown: str = "now-1h") -> builders.Dashboard:
    """A dashboard without panels; `shown` is the start of its default time range."""
    dashboard = (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time(shown, "now")
        .links([_dashboard_links()])
    )
    for variable in _variables():
        dashboard = dashboard.with_variable(variable)
    for annotation in _ANNOTATIONS:
        dashboard = dashboard.annotation(_BuiltModel(annotation))
    return dashboard


def add_rows(dashboard: builders.Dashboard, sections: Mapping[str, Sequence[Builder[Panel]]]) -> builders.Dashboard:
    """Add a row with its panels for each section."""
    for number, (title, panels) in enumerate(sections.items(), start=_FIRST_ROW_ID):
        dashboard = dashboard.with_row(builders.Row(title).id(number))
        for panel in panels:
            dashboard = dashboard.with_panel(panel)
    return dashboard


def _dashboard_links() -> builders.DashboardLink:
    return (
        builders.DashboardLink("Trust service dashboards")
        .type(DashboardLinkType.DASHBOARDS)
        # Three links would fill the first screen of a phone.
        .as_dropdown(True)
        .tags([TAG])
        .include_vars(True)
        .keep_time(True)
    )


def _variables() -> list[Builder[VariableModel]]:
    return [
        builders.DatasourceVariable("datasource")
        .label("Data source")
        .description("Prometheus data source to query.")
        .type("prometheus"),
        _environment(),
        _multiple_choice(
            "service",
            "Service",
            f"label_values({_INSTANCE_UP}{{{_IN_ENVIRONMENT}}}, service_name)",
        ),
        _multiple_choice("instance", "Instance", f"query_result({_INSTANCES})").regex(_NAMED_INSTANCE),
        builders.IntervalVariable("interval")
        .label("Resolution")
        .description("Minimum query step. A step below the export interval of the services adds no detail.")
        .values(",".join(INTERVALS))
        .current(VariableOption(selected=True, text=INTERVALS[0], value=INTERVALS[0]))
        .options([VariableOption(selected=each == INTERVALS[0], text=each, value=each) for each in INTERVALS]),
        _runbooks(),
    ]


def _runbooks() -> Builder[VariableModel]:
    variable = builders.ConstantVariable("runbooks").description("Base URL of the runbooks.").value(RUNBOOKS)
    model = variable.build()
    model.hide = VariableHide.HIDE_VARIABLE
    return _BuiltModel(model)


# Grafana takes the saved value if it is among the values, else the first value: the environment with the most
# instances. `label_values()` would omit the services that set no environment; here they are an empty value.
_ENVIRONMENTS: Final = (
    f"sort_desc(count by (deployment_environment_name) (last_over_time({_INSTANCE_UP}[{TIME_RANGE}])))"
)
_ENVIRONMENT_IN_RESULT: Final = '/^{(?:deployment_environment_name=")?(.*?)"?} /'
_DEFAULT_ENVIRONMENT: Final = "<<environment>>"

_INSTANCES: Final = (
    "count by (instance_name, service_instance_id) "
    f"({with_instance_name(f'last_over_time({_INSTANCE_UP}{{{_OF_SERVICE}}}[{TIME_RANGE}])')})"
)
_NAMED_INSTANCE: Final = '/instance_name="(?<text>[^"]*)".*service_instance_id="(?<value>[^"]*)"/'


def _environment() -> builders.QueryVariable:
    return (
        _label_variable("environment", "Environment", f"query_result({_ENVIRONMENTS})")
        .regex(_ENVIRONMENT_IN_RESULT)
        .description(
            "Environment of all panels. The empty entry has the services that set no environment "
            "(deployment.environment.name)."
        )
        .sort(VariableSort.DISABLED)
        .current(VariableOption(selected=True, text=_DEFAULT_ENVIRONMENT, value=_DEFAULT_ENVIRONMENT))
    )


def _multiple_choice(name: str, label: str, query: str) -> builders.QueryVariable:
    return (
        _label_variable(name, label, query)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _label_variable(name: str, label: str, query: str) -> builders.QueryVariable:
    return (
        builders.QueryVariable(name)
        .label(label)
        .description(f"{label}s that reported in the selected time range.")
        .datasource(DATA_SOURCE)
        .query({"query": query, "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )


Model = TypeVar("Model")


class _BuiltModel(Builder[Model], Generic[Model]):
    """A model that needs fields which the SDK's builders do not support."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def build(self) -> Model:
        return self._model


class _Annotation(AnnotationQuery):
    """A Prometheus annotation, which has more fields than the SDK supports."""

    def __init__(self, name: str, colour: str, expression: str, title: str, text: str, tags: str) -> None:
        super().__init__(name=name, datasource=DATA_SOURCE, enable=True, icon_color=colour, hide=False, expr=expression)
        self._more = {"titleFormat": title, "textFormat": text, "tagKeys": tags, "step": "1m"}

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), **self._more}


def _critical(when: str) -> str:
    """The critical alerts of the selected services, and those without a service."""
    firing = 'alertname=~"Trust.+", alertname!="TrustEscalation", alertstate="firing", severity="critical"'
    services = (_OF_SERVICE, 'service_name=""')
    found = " or ".join(f"ALERTS{{{firing}, {each}}}{when}" for each in services)
    return f"max by (alertname, severity, service) ({found})"


# Each marks a single moment: what exists now and did not a minute ago. A region for an alert that fires for hours would
# hide the graphs.
_ANNOTATIONS: Final = (
    _Annotation(
        "Deployments",
        # No line of a graph is grey.
        "#8e8e8e",
        # A version that reports now and did not a minute ago, while another version did.
        f"""count by (service_name, service_version) ({_INSTANCE_UP}{{{_OF_SERVICE}}})
unless count by (service_name, service_version) ({_INSTANCE_UP}{{{_OF_SERVICE}}} offset 1m)
and on (service_name) count by (service_name) ({_INSTANCE_UP}{{{_OF_SERVICE}}} offset 1m)""",
        "Deployment of {{service_name}}",
        "version {{service_version}}",
        "service_name,service_version",
    ),
    _Annotation(
        "Firing alerts",
        "red",
        f"""{_critical("")}
unless {_critical(" offset 1m")}""",
        "{{alertname}}",
        "{{severity}} {{service}}",
        "severity",
    ),
)
