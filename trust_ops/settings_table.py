"""Formats the settings as a Markdown page, JSON, or a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trust_ops.variables import VARIABLES
from trust_otel.settings import SETTINGS, Setting, check

HIDDEN = "***"

_HEADER = """# Settings

Every variable that trust-otel reads, generated from `trust_otel/settings.py` by `make generate`. All other `OTEL_*`
variables have the meaning that OpenTelemetry gives them: [standard settings](standard-settings.md) lists each of them.
Invalid values are logged with a suggested fix, and the default is used; with `TRUST_OTEL_STRICT=true` the service
refuses to start and lists all invalid values at once. An empty value counts as unset.

With `OTEL_CONFIG_FILE`, the declarative configuration file sets up resource, views, readers and exporters; the settings
of trust-otel and of its instrumentations still apply.

Values marked † may hold a secret, such as a password in a URL. They never appear in logs, in the output of
`trust-otel doctor` or `trust-otel settings`, or in a series. An error gives the position of the invalid entry instead.
"""


_OPERATOR_HEADER = """## Variables of the command `trust-otel`

Read by `trust-otel stack`, `trust-otel incidents`, `trust-otel review` and `trust-otel grafana`, and declared in
`trust_ops/variables.py`. All but those of executables can also be given as options. A service ignores them. The
variables of the Alertmanager configuration are in [alerting.md](alerting.md).
"""


def settings_page() -> str:
    """The settings as Markdown."""
    own = [setting for setting in SETTINGS if setting.own]
    upstream = [setting for setting in SETTINGS if not setting.own]
    parts = [_HEADER, "## Settings of trust-otel\n", *_table(own), ""]
    parts += ["## Settings of OpenTelemetry, with the defaults of trust-otel\n", *_table(upstream)]
    parts += ["", _OPERATOR_HEADER, *_table(VARIABLES)]
    return "\n".join(parts) + "\n"


def settings_json(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """The settings as JSON: `[{"name", "default", "help", "set", "usable"}]`; `set` is the value in the
    environment, masked if it may hold a secret.
    """
    return [
        {
            "name": setting.name,
            "default": setting.default,
            "help": setting.help,
            "set": _shown(setting, environment.get(setting.name)),
            "usable": not check(environment, [setting]),
        }
        for setting in (*SETTINGS, *VARIABLES)
    ]


def settings_text(environment: Mapping[str, str]) -> str:
    """The settings for a terminal, with the values that are set; invalid ones are marked."""
    return "\n".join(_entry(setting, environment) for setting in (*SETTINGS, *VARIABLES))


def _table(settings: Iterable[Setting]) -> list[str]:
    rows = [f"| `{setting.name}`{_mark(setting)} | {_default(setting)} | {setting.help} |" for setting in settings]
    return ["| variable | default | meaning |", "|---|---|---|", *rows]


def _mark(setting: Setting) -> str:
    return " †" if setting.secret else ""


def _shown(setting: Setting, text: str | None) -> str | None:
    return HIDDEN if text and setting.secret else text or None


def _default(setting: Setting) -> str:
    return f"`{setting.default}`" if setting.default else ""


def _entry(setting: Setting, environment: Mapping[str, str]) -> str:
    text = environment.get(setting.name)
    if not text:
        state = f"default {setting.default}" if setting.default else "not set"
    else:
        problems = check(environment, [setting])
        state = ("set, not shown" if setting.secret else f"set to {text!r}") + (
            f" - BAD: {problems[0].remedy}" if problems else ""
        )
    return f"{setting.name}\n    {setting.help}\n    {state}"
