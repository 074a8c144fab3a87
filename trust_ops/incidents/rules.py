"""The names of the alerts that could fire."""

from __future__ import annotations

import re
import ssl

import httpx

from trust_ops.stack.files import project_file
from trust_otel.shown import address_of

RULES = "monitoring/prometheus/trust-service-alerts.yml"

# The first always fires and goes to the dead man's switch, the other bears the name of what it escalates: no incident
# is ever called like them.
_NEVER_DELIVERED = frozenset({"TrustWatchdog", "TrustEscalation"})

_ALERT = re.compile(r"""^\s*(?:-\s+)?alert:\s*["']?(\w+)""", re.MULTILINE)


class RulesError(RuntimeError):
    """Prometheus does not say which alerts it has."""


def own_rules() -> frozenset[str]:
    """The alerts that trust-otel brings. Raises FileNotFoundError."""
    return frozenset(_ALERT.findall(project_file(RULES).read_text(encoding="utf-8"))) - _NEVER_DELIVERED


def rules_of(prometheus: str, transport: httpx.BaseTransport | None = None) -> frozenset[str]:
    """The alerts that a Prometheus has loaded. Raises RulesError."""
    where = address_of(prometheus)
    try:
        with httpx.Client(transport=transport, trust_env=False, verify=ssl.create_default_context()) as client:
            answer = client.get(f"{prometheus.rstrip('/')}/api/v1/rules", params={"type": "alert"})
        if not answer.is_success:
            # Not raise_for_status, whose message holds the whole address.
            raise RulesError(f"--prometheus {where} answers {answer.status_code} when asked for its rules")
        groups = answer.json()["data"]["groups"]
        return frozenset(rule["name"] for group in groups for rule in group["rules"]) - _NEVER_DELIVERED
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RulesError(f"--prometheus {where} does not tell its rules: {type(error).__name__}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RulesError(f"--prometheus {where} does not answer as Prometheus does") from error
