"""The variables of `monitoring/.env` for alerting, for validation, the example file and the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trust_ops.site_config import kinds
from trust_ops.site_config.errors import Problem, RenderError
from trust_ops.site_config.kinds import Kind
from trust_otel.setting_lists import BadValueError

OFF = "off"

_SHOWN = 100
"""Maximum length of an invalid value in an error."""


@dataclass(frozen=True)
class Variable:
    """One variable.

    Attributes:
        name: Its name.
        kind: Its type.
        help: A short description.
        optional: Whether it may be left empty.
        default: The default when it is empty; `None` for none.
        fallback: The variable whose value is used when it is empty.
        needs: The variable that it depends on: it is omitted together with that one.
        may_be_off: Whether it can be disabled with `off`.
    """

    name: str
    kind: Kind
    help: str
    optional: bool = False
    default: str | None = None
    fallback: str | None = None
    needs: str | None = None
    may_be_off: bool = True


@dataclass(frozen=True)
class Values:
    """The checked variables.

    Attributes:
        text: The value of each variable; `None` if omitted.
        source: The variable that each value comes from: itself or its fallback.
    """

    text: Mapping[str, str | None] = field(repr=False)
    source: Mapping[str, str]

    def with_texts(self, texts: Mapping[str, str]) -> Values:
        """With further values that are not secret."""
        return Values({**self.text, **texts}, self.source)

    def secrets(self) -> dict[str, str]:
        """The secrets that have a value of their own."""
        return {
            variable.name: text
            for variable in VARIABLES
            if variable.kind.secret
            and self.source[variable.name] == variable.name
            and (text := self.text[variable.name]) is not None
        }


def _level(name: str, who: str) -> Variable:
    return Variable(
        name,
        kinds.EMAILS,
        f"{who}, notified of escalations",
        optional=True,
        fallback="ESCALATION_EMAIL",
        needs="SMTP_HOST",
    )


def _team(name: str, what: str) -> Variable:
    return Variable(name, kinds.EMAILS, f"recipients of {what}", needs="SMTP_HOST")


def _slack(name: str, what: str) -> Variable:
    return Variable(name, kinds.SLACK_URL, f"incoming webhook of the Slack channel for {what}")


def _pagerduty(name: str, what: str) -> Variable:
    return Variable(name, kinds.KEY, f"integration key (Events API v2) of the PagerDuty service for {what}")


def _oncall(name: str, team: str) -> Variable:
    return Variable(
        name,
        kinds.TEXT,
        f"who is on call for {team}: text or a link to the schedule, shown in every notification",
        optional=True,
        default=f"{team} team",
        may_be_off=False,
    )


MOVED: Mapping[str, str] = {
    "GRAFANA_URL": "addresses.grafana",
    "RUNBOOK_URL": "addresses.runbooks",
    "ALERTMANAGER_URL": "addresses.alertmanager",
    "BUSINESS_TIMEZONE": "business_hours.timezone",
    "CRITICAL_GRPC_METHODS": "critical.grpc_methods",
}
"""Variables of earlier versions, and the setting of the site file that replaces each."""


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "SMTP_HOST",
        kinds.HOST_PORT,
        "mail server; implicit TLS on port 465, STARTTLS on all other ports; `off` disables all mail",
    ),
    Variable("SMTP_FROM", kinds.SENDER, "sender of the mail", needs="SMTP_HOST", may_be_off=False),
    Variable("SMTP_USERNAME", kinds.TEXT, "account on the mail server; `off` if it requires none", needs="SMTP_HOST"),
    Variable(
        "SMTP_PASSWORD", kinds.SECRET, "password of the account; `off` if the server requires none", needs="SMTP_HOST"
    ),
    Variable(
        "SMTP_CA_FILE",
        kinds.PATH,
        "certificate authorities to trust for the mail server; a path as Alertmanager sees it",
        optional=True,
        needs="SMTP_HOST",
    ),
    _slack("SLACK_WEBHOOK_DEFAULT", "info alerts and alerts without a team"),
    _slack("SLACK_WEBHOOK_SECURITY", "the security team"),
    _slack("SLACK_WEBHOOK_PLATFORM", "the platform team"),
    _slack("SLACK_WEBHOOK_BUSINESS", "business and compliance"),
    Variable(
        "SLACK_WEBHOOK_ESCALATION",
        kinds.SLACK_URL,
        "incoming webhook of the Slack channel for escalations",
        optional=True,
        fallback="SLACK_WEBHOOK_DEFAULT",
    ),
    _pagerduty("PAGERDUTY_SECURITY_KEY", "critical security alerts"),
    _pagerduty("PAGERDUTY_PLATFORM_KEY", "all other critical alerts"),
    _pagerduty("PAGERDUTY_ESCALATION_KEY", "escalations to the team lead, the manager and the executives"),
    Variable(
        "PAGERDUTY_URL",
        kinds.PAGERDUTY_URL,
        "PagerDuty's Events API v2",
        optional=True,
        default="https://events.pagerduty.com/v2/enqueue",
        may_be_off=False,
    ),
    _team("SECURITY_EMAIL", "security alerts"),
    _team("PLATFORM_EMAIL", "platform alerts"),
    _team("BUSINESS_EMAIL", "business alerts"),
    _team("COMPLIANCE_EMAIL", "compliance alerts"),
    _team("ESCALATION_EMAIL", "alerts that are critical for 15 minutes: the senior people of all teams"),
    _level("TEAM_LEAD_EMAIL", "team lead"),
    _level("MANAGER_EMAIL", "engineering manager"),
    _level("EXECUTIVE_EMAIL", "executives"),
    Variable(
        "INCIDENT_WEBHOOK_URL",
        kinds.WEBHOOK_URL,
        "incident management; receives every critical alert and every warning of environments that page",
        optional=True,
    ),
    Variable(
        "INCIDENT_WEBHOOK_TOKEN",
        kinds.SECRET,
        "bearer token of the incident management",
        optional=True,
        needs="INCIDENT_WEBHOOK_URL",
    ),
    Variable(
        "DEADMAN_WEBHOOK_URL",
        kinds.WEBHOOK_URL,
        "dead man's switch, which must raise an alarm if it receives nothing for some minutes",
        optional=True,
    ),
    _oncall("ONCALL_SECURITY", "security"),
    _oncall("ONCALL_PLATFORM", "platform"),
    _oncall("ONCALL_BUSINESS", "business"),
    _oncall("ONCALL_COMPLIANCE", "compliance"),
)

BY_NAME = {variable.name: variable for variable in VARIABLES}


def read(environment: Mapping[str, str]) -> Values:
    """Validate all variables. Raises RenderError that lists all missing or invalid ones, with fixes."""
    text: dict[str, str | None] = {}
    source: dict[str, str] = {}
    omitted: set[str] = set()
    problems: list[Problem] = []
    for variable in VARIABLES:
        name = variable.name
        text[name], source[name] = None, name
        given = environment.get(name, "")
        try:
            if variable.needs in omitted or _is_off(variable, given):
                omitted.add(name)
            elif given:
                text[name] = variable.kind.parse(given)
            elif not variable.optional:
                raise BadValueError(_missing(variable))
            elif variable.fallback is not None:
                text[name], source[name] = text[variable.fallback], source[variable.fallback]
            else:
                text[name] = variable.default
                omitted.update([name] if variable.default is None else [])
        except BadValueError as error:
            problems.append(Problem(name, _shown(variable, given) + str(error)))
    problems += _pair_problems(environment, omitted)
    if problems:
        raise RenderError(problems)
    return Values(text, source)


def moved(environment: Mapping[str, str]) -> list[Problem]:
    """The variables of earlier versions that have a value."""
    return [
        Problem(name, f"it is now a setting of the site file: set `{setting}` there, and remove the variable")
        for name, setting in MOVED.items()
        if environment.get(name)
    ]


def _is_off(variable: Variable, given: str) -> bool:
    if given == OFF and not variable.may_be_off:
        raise BadValueError("it cannot be `off`" + ("; leave it empty for the default" if variable.optional else ""))
    return given == OFF


def _shown(variable: Variable, given: str) -> str:
    """The invalid value, unless it may be a secret."""
    if not given or not variable.kind.shown:
        return ""
    shown = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}..."
    return f"{shown!r} is invalid; "


def _pair_problems(environment: Mapping[str, str], omitted: set[str]) -> list[Problem]:
    pair = ("SMTP_USERNAME", "SMTP_PASSWORD")
    if all(environment.get(name) for name in pair) and len(omitted.intersection(pair)) == 1:
        return [Problem(" and ".join(pair), "set both, or both to `off`")]
    return []


def _missing(variable: Variable) -> str:
    choice = ", or set it to `off` to disable it" if variable.may_be_off else ""
    return f"missing or empty; set it ({variable.help}){choice}"
