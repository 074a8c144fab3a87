"""Every variable that the command `trust-otel` reads itself; those of the service are in `trust_otel.settings`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final

import click

from trust_ops.stack.recipes import binaries
from trust_otel import settings
from trust_otel.settings import Setting, UnknownName

STACK_DIRECTORY: Final = Setting(
    "TRUST_OTEL_STACK_DIRECTORY",
    ".trust-otel/stack",
    "Directory of the local stack: data, logs and state.",
    str,
)

INCIDENTS_URL: Final = Setting(
    "TRUST_OTEL_INCIDENTS_URL", "http://127.0.0.1:9099", "URL of the incident receiver.", str, secret=True
)
INCIDENTS_OPERATOR_TOKEN_FILE: Final = Setting(
    "TRUST_OTEL_INCIDENTS_OPERATOR_TOKEN_FILE",
    None,
    "File with your operator token; for `incidents serve`, with all operators' tokens, one per line.",
    str,
    secret=True,
)
INCIDENTS_TOKEN_FILE: Final = Setting(
    "TRUST_OTEL_INCIDENTS_TOKEN_FILE",
    None,
    "File with the tokens for Alertmanager's webhook, one per line.",
    str,
    secret=True,
)
INCIDENTS_PAGERDUTY_SECRET_FILE: Final = Setting(
    "TRUST_OTEL_INCIDENTS_PAGERDUTY_SECRET_FILE",
    None,
    "File with the signing secrets of PagerDuty's webhooks, one per line; without it, they are rejected.",
    str,
    secret=True,
)
INCIDENTS_DATABASE: Final = Setting(
    "TRUST_OTEL_INCIDENTS_DATABASE",
    "sqlite:///.trust-otel/incidents.db",
    "SQLAlchemy URL: sqlite:///path, or postgresql://user:password@host/name.",
    str,
    secret=True,
)
INCIDENTS_LISTEN: Final = Setting(
    "TRUST_OTEL_INCIDENTS_LISTEN", "127.0.0.1:9099", "Address and port that the incident receiver listens on.", str
)
INCIDENTS_ALERTMANAGER: Final = Setting(
    "TRUST_OTEL_INCIDENTS_ALERTMANAGER",
    None,
    "URL of Alertmanager; for a cluster, the URLs of all members, separated by spaces.",
    str,
    secret=True,
)

GRAFANA_URL: Final = Setting("GRAFANA_URL", None, "URL of Grafana.", str, secret=True)
GRAFANA_TOKEN_FILE: Final = Setting(
    "GRAFANA_TOKEN_FILE", None, "File with the token of a service account with role Admin.", str, secret=True
)
GRAFANA_ADMIN_USER: Final = Setting(
    "GRAFANA_ADMIN_USER", "admin", "Administrator of Grafana, used without a token.", str
)
GRAFANA_ADMIN_PASSWORD_FILE: Final = Setting(
    "GRAFANA_ADMIN_PASSWORD_FILE", None, "File with the administrator's password.", str, secret=True
)
GRAFANA_CA_FILE: Final = Setting(
    "GRAFANA_CA_FILE",
    None,
    "PEM file of the certificate authorities to trust for Grafana; by default those of the system.",
    str,
    secret=True,
)

VARIABLES: Final[tuple[Setting, ...]] = (
    STACK_DIRECTORY,
    *(
        Setting(
            binary.variable,
            None,
            f"Executable of {binary.title} {binary.version}; found or built unless set.",
            str,
        )
        for binary in binaries().values()
    ),
    INCIDENTS_URL,
    INCIDENTS_OPERATOR_TOKEN_FILE,
    INCIDENTS_TOKEN_FILE,
    INCIDENTS_PAGERDUTY_SECRET_FILE,
    INCIDENTS_DATABASE,
    INCIDENTS_LISTEN,
    INCIDENTS_ALERTMANAGER,
    GRAFANA_URL,
    GRAFANA_TOKEN_FILE,
    GRAFANA_ADMIN_USER,
    GRAFANA_ADMIN_PASSWORD_FILE,
    GRAFANA_CA_FILE,
)

_Decorator = Callable[[click.decorators.FC], click.decorators.FC]


def option(variable: Setting, flag: str, *more_names: str, **more: Any) -> _Decorator:  # type: ignore[type-arg]
    """An option of a command that a variable sets too."""
    if variable.default is not None:
        more |= {"default": variable.default, "show_default": True}
    return click.option(flag, *more_names, envvar=variable.name, show_envvar=True, help=variable.help, **more)


def unknown_names(environment: Mapping[str, str]) -> list[UnknownName]:
    """Variables that look like one of trust-otel or of this command, and are none."""
    known = [variable.name for variable in VARIABLES]
    ours = sorted(name for name in environment if settings.OPERATOR_NAMES.fullmatch(name) and name not in known)
    meant = (next(iter(get_close_matches(name, known, 1, 0.8)), None) for name in ours)
    return [*settings.unknown_names(environment), *map(UnknownName, ours, meant)]
