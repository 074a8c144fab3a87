"""The project's alerts with their labels in Alertmanager, the rendered configuration, and the real amtool."""

import functools
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.rule_files import ALERTS, vocabulary
from tools.checks.label_inference import vector_labels
from tools.checks.rules import Rule
from trust_ops.site_config import Rendered, Site, render
from trust_ops.stack.binaries import find
from trust_ops.stack.recipes import binaries

ENVIRONMENT = {
    "SMTP_HOST": "mail.trust.test:587",
    "SMTP_FROM": "alerts@trust.test",
    "SMTP_USERNAME": "alerts",
    "SMTP_PASSWORD": "secret",
    **{
        f"SLACK_WEBHOOK_{channel}": f"https://hooks.slack.com/services/T0/B0/{channel}"
        for channel in ("DEFAULT", "SECURITY", "PLATFORM", "BUSINESS", "ESCALATION")
    },
    "PAGERDUTY_SECURITY_KEY": "5ec0123456789abcdef0123456789abc",
    "PAGERDUTY_PLATFORM_KEY": "91a0123456789abcdef0123456789abc",
    "PAGERDUTY_ESCALATION_KEY": "e5c0123456789abcdef0123456789abc",
    **{
        f"{who}_EMAIL": f"{who.lower().replace('_', '-')}@trust.test"
        for who in (
            *("SECURITY", "PLATFORM", "BUSINESS", "COMPLIANCE"),
            *("ESCALATION", "TEAM_LEAD", "MANAGER", "EXECUTIVE"),
        )
    },
    "INCIDENT_WEBHOOK_URL": "https://incidents.trust.test/",
    "INCIDENT_WEBHOOK_TOKEN": "token",
    "DEADMAN_WEBHOOK_URL": "https://deadman.trust.test/",
    "ONCALL_SECURITY": "https://schedule.trust.test/security?a=1&b=2",
    "ONCALL_PLATFORM": "Ada <b>{{ .x }}</b>",
}
"""A different value for every channel."""

SITE = Site(domain="trust.test")

# Values for label templates in the rule files.
_SERVICE = "payments"
_VALUES = {
    "service_name": _SERVICE,
    "service_namespace": "trust",
    "deployment_environment_name": "production",
    "delivery": "push",
}

_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"(.*)"')


@functools.cache
def rendered() -> Rendered:
    return render(ENVIRONMENT, "/etc/alertmanager/secrets", SITE)


@dataclass(frozen=True)
class Alert:
    """An alert of the rule files, with all labels that it can have, and its name in Alertmanager."""

    rule: Rule
    labels: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.labels["alertname"]


def alerts() -> Iterator[Alert]:
    """All alerts, and the escalations of critical ones to each level."""
    for rule in ALERTS:
        if "escalation_level" in rule.labels:
            yield from (_escalated(alert, rule) for alert in map(_alert, ALERTS) if _is_critical(alert))
        else:
            yield _alert(rule)


def _alert(rule: Rule) -> Alert:
    inferred = vector_labels(rule.expression(), vocabulary())
    found = {name: _VALUES.get(name, f"some-{name}") for name in inferred if name != "__name__"}
    own = {name: _SERVICE if "{{" in value else value for name, value in rule.labels.items()}
    return Alert(rule, {**found, **own, "alertname": rule.name})


def _is_critical(alert: Alert) -> bool:
    return alert.labels.get("severity") == "critical"


def _escalated(alert: Alert, level: Rule) -> Alert:
    """The escalation after `alert_relabel_configs`."""
    return Alert(level, {**alert.labels, "escalation_level": level.labels["escalation_level"]})


def matches(matchers: Sequence[str], labels: Mapping[str, str]) -> bool:
    """Whether Alertmanager's matchers all match."""
    return all(_matches(matcher, labels) for matcher in matchers)


def _matches(matcher: str, labels: Mapping[str, str]) -> bool:
    parsed = _MATCHER.fullmatch(matcher)
    assert parsed is not None, matcher
    name, operator, value = parsed.groups()
    actual = labels.get(name, "")
    found = bool(re.fullmatch(value, actual)) if "~" in operator else actual == value
    return found is not operator.startswith("!")


_INHERITED = ("group_by", "group_wait", "group_interval", "repeat_interval")


def routes(
    route: Mapping[str, Any] | None = None, inherited: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """All notifying routes, with inherited waits and intervals."""
    route = rendered().configuration["route"] if route is None else route
    timing = {name: route[name] for name in _INHERITED if name in route}
    own = {**(inherited or {}), **timing}
    inner = route.get("routes", ())
    # The root route handles all alerts without another route, so it notifies too.
    if not inner or inherited is None:
        yield {**route, **own}
    for one in inner:
        yield from routes(one, own)


def receivers() -> dict[str, dict[str, Any]]:
    return {receiver["name"]: receiver for receiver in rendered().configuration["receivers"]}


def channels(receiver: str) -> list[str]:
    """The channels of a receiver, as `kind:address`."""
    found = []
    for kind, address in (
        ("slack", "api_url_file"),
        ("pagerduty", "routing_key_file"),
        ("webhook", "url_file"),
        ("email", "to"),
    ):
        for config in receivers()[receiver].get(f"{kind}_configs", ()):
            found += [f"{kind}:{one}" for one in config[address].split(", ")]
    return found


def amtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    executable = find(binaries()["amtool"], os.environ, print)
    return subprocess.run([str(executable), *map(str, arguments)], capture_output=True, text=True, check=False)
