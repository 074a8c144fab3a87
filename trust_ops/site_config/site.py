"""The settings of a site: what it may want different, with the values of the requirements as defaults.

The descriptions are those of the documentation, of the example file and of the JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from trust_ops.durations import parse_duration
from trust_ops.site_config import kinds
from trust_ops.site_config.objectives import REQUIRED_LIMITS, Objective
from trust_ops.site_config.required_controls import RequiredControl
from trust_otel.setting_lists import BadValueError

Treatment = Literal["page", "notify", "show"]
Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Dashboard = Literal["operational", "security", "business", "pki", "monitoring"]

CRITICAL_GRPC_METHODS: Final = (
    *("CreateSignature", "Issue", "Renew", "Revoke", "Sign", "Timestamp", "Validate", "Verify"),
)

DOMAIN: Final = "{domain}"
"""Placeholder of the site's domain in an address."""

_MAX_NAME: Final = 200
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_LABEL: Final = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*(:[0-9]+)?")
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ROUTE: Final = re.compile(r"/[!-~]*")


def _name(text: str) -> str:
    if not text or not text.isprintable() or text != text.strip() or len(text) > _MAX_NAME:
        raise BadValueError(f"use 1 to {_MAX_NAME} printable characters without spaces at the ends")
    return text


def _url(text: str) -> str:
    kinds.base_url(text.replace(DOMAIN, "trust.test"))
    return text.rstrip("/")


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise BadValueError('use hours and minutes in quotes, such as "08:00"; the last is "24:00"')
    return text


def _namespace(text: str) -> str:
    if not _DNS_LABEL.fullmatch(text):
        raise BadValueError("use the name of a Kubernetes namespace: lower-case letters, digits and hyphens")
    return text


def _route(text: str) -> str:
    if not _ROUTE.fullmatch(text):
        raise BadValueError("use the route as the label http_route has it, such as /v1/documents/{id}")
    return text


def _duration(text: str) -> str:
    try:
        positive = bool(parse_duration(text))
    except ValueError:
        positive = False
    if not positive:
        raise BadValueError("use a duration such as 15d")
    return text


def _domain(text: str) -> str:
    if not _DOMAIN.fullmatch(text) or len(text) > _MAX_NAME:
        raise BadValueError("use a domain such as your-company.com")
    kinds.base_url(f"https://grafana.{text}")
    return text


def _text(check: Callable[[str], str]) -> Any:
    return AfterValidator(check)


Name = Annotated[str, _text(_name)]
Url = Annotated[str, _text(_url)]
Clock = Annotated[str, _text(_clock)]
Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """A part of the site file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Addresses(Settings):
    """Where the links in rules, notifications and dashboards lead."""

    grafana: Url = Field(default=f"https://grafana.{DOMAIN}", description="Grafana, for links to dashboards.")
    runbooks: Url = Field(default=f"https://runbooks.{DOMAIN}", description="The runbooks, for the link of each alert.")
    alertmanager: Url = Field(
        default=f"https://alertmanager.{DOMAIN}", description="Alertmanager, for links that silence alerts."
    )


class BusinessHours(Settings):
    """When business alerts that wait for people are sent."""

    timezone: Annotated[str, _text(kinds.time_zone)] = Field(default="UTC", description="Time zone of the hours.")
    days: tuple[Day, ...] = Field(
        default=("monday", "tuesday", "wednesday", "thursday", "friday"), description="Working days.", min_length=1
    )
    begin: Clock = Field(
        default="08:00",
        validation_alias="from",
        serialization_alias="from",
        description="Start of the working day, in quotes.",
    )
    end: Clock = Field(
        default="18:00",
        validation_alias="to",
        serialization_alias="to",
        description='End of the working day, in quotes; `"24:00"` is midnight.',
    )
    muted_outside: tuple[Name, ...] = Field(
        default=(),
        description="Names of business alerts that are sent only in these hours, such as `[TrustRevenueDrop]`. "
        "Nothing is muted by default: business alerts are repeated every 6 hours, day and night.",
    )

    @model_validator(mode="after")
    def _begin_is_before_end(self) -> BusinessHours:
        if self.begin >= self.end:
            raise BadValueError(f"`to` must be later than `from` on the same day, which is {self.begin}")
        if self.muted_outside and not self.closed_days and (self.begin, self.end) == ("00:00", "24:00"):
            raise BadValueError("the hours cover the whole week, so nothing can be muted; remove `muted_outside`")
        return self

    @property
    def closed_days(self) -> tuple[str, ...]:
        """The days that are no working days."""
        return tuple(day for day in get_args(Day) if day not in self.days)


class Critical(Settings):
    """What a caller waits for. Only its latency raises an alert."""

    grpc_methods: tuple[Annotated[str, _text(kinds.method_name)], ...] = Field(
        default=CRITICAL_GRPC_METHODS, description="Beginnings of the names of gRPC methods.", min_length=1
    )
    http_routes: tuple[Annotated[str, _text(_route)], ...] = Field(
        default=(),
        description="HTTP routes, as in the label `http_route`; none means all routes. The latency that the "
        "operational dashboard shows for a service is then that of these routes.",
    )


class BySeverity(Settings):
    """The thresholds of an alert that has several severities."""

    critical: Number | None = Field(default=None, description="Threshold of the critical alert.")
    warning: Number | None = Field(default=None, description="Threshold of the warning.")
    info: Number | None = Field(default=None, description="Threshold of the alert with severity info.")


def _kind_of_threshold(value: Any) -> str:
    return "by severity" if isinstance(value, dict | BySeverity) else "number"


Threshold = Annotated[
    Annotated[Number, Tag("number")] | Annotated[BySeverity, Tag("by severity")], Discriminator(_kind_of_threshold)
]


class Kubernetes(Settings):
    """What the alerts on Kubernetes look at."""

    namespaces: tuple[Annotated[str, _text(_namespace)], ...] = Field(
        default=(),
        description="Namespaces whose containers raise alerts; none means those in which a service reported within a "
        "day (`k8s.namespace.name`), or all if no service reports its namespace.",
    )


class Compliance(Settings):
    """What the alerts on compliance look at."""

    required_controls: tuple[RequiredControl, ...] = Field(
        default=(),
        description="Controls that services must check, such as `[{framework: eidas, control: signature_policy, "
        "within: 1d, service: signing}]`. A control without a check within its age raises TrustComplianceFailure and "
        "is red on the security dashboard, also one that was never checked. `within` is `1d` by default. Without "
        "`service`, every service must check it; without `environment`, in every environment.",
    )


class Permissions(Settings):
    """What a team may do with dashboards and their folders."""

    view: tuple[Dashboard, ...] = Field(default=(), description="Dashboards that the team may open.")
    edit: tuple[Dashboard, ...] = Field(
        default=(),
        description="Dashboards that the team may open and in whose folder it may add dashboards and annotations.",
    )

    @model_validator(mode="after")
    def _edit_includes_view(self) -> Permissions:
        for name in self.view:
            if name in self.edit:
                raise BadValueError(f"{name} is listed in view and in edit; edit includes view, so remove it from view")
        return self


def _default_teams() -> dict[str, Permissions]:
    return {
        "platform": Permissions(edit=("operational", "pki", "monitoring")),
        "security": Permissions(view=("operational", "pki"), edit=("security",)),
        "business": Permissions(edit=("business",)),
        "compliance": Permissions(view=("security", "business", "pki")),
    }


class Site(Settings):
    """All settings of a site."""

    domain: Annotated[str, _text(_domain)] = Field(
        default="marty.com",
        description="The domain of the site, which replaces `{domain}` in the addresses.",
    )
    addresses: Addresses = Field(default=Addresses(), description="Where links lead.")
    environments: Mapping[Name, Treatment] = Field(
        default={"production": "page", "staging": "notify", "development": "show"},
        description="What the alerts of each environment (the label `deployment_environment_name`) may do. `page`: "
        "PagerDuty, escalation and incident management. `notify`: Slack and mail of the alert's team. `show`: nobody "
        "is notified; the alert is visible in Alertmanager and on dashboards.",
    )
    other_environments: Treatment = Field(
        default="page",
        description="The same for an environment that is not listed, and for a service that sets none. With another "
        "value than `page`, nobody is paged for an environment that was forgotten in the list.",
    )
    business_hours: BusinessHours = Field(default=BusinessHours(), description="When business alerts are sent.")
    objectives: tuple[Objective, ...] = Field(
        default=REQUIRED_LIMITS,
        description="Service level objectives, see docs/objectives.md. The defaults are the required limits, and do "
        "not page; `[]` declares none.",
    )
    critical: Critical = Field(
        default=Critical(), description="What a caller waits for; only its latency raises an alert."
    )
    thresholds: Mapping[Name, Threshold] = Field(
        default={},
        description="Thresholds of alerts, by name: `TrustServiceHighLatency: 3`, or, where an alert has two "
        "severities, `TrustCertificateExpiring: {critical: 7, warning: 30}`.",
    )
    kubernetes: Kubernetes = Field(default=Kubernetes(), description="What the alerts on Kubernetes look at.")
    compliance: Compliance = Field(default=Compliance(), description="What the alerts on compliance look at.")
    teams: Mapping[Name, Permissions] = Field(
        default_factory=_default_teams,
        description="The teams in Grafana, and which dashboards each may open. Dashboards: `operational`, `security`, "
        "`business`, `pki`, `monitoring`.",
    )
    retention: Annotated[str, _text(_duration)] = Field(
        default="15d",
        description="How long Prometheus keeps data, at least `15d`. Windows of panels and rules never exceed it.",
    )

    @property
    def links(self) -> dict[str, str]:
        """The base address of `grafana`, `runbooks` and `alertmanager`."""
        addresses: dict[str, str] = self.addresses.model_dump()
        return {name: address.replace(DOMAIN, self.domain) for name, address in addresses.items()}


DEFAULTS: Final = Site()
"""The settings without a site file."""
