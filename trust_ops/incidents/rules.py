"""The names of all alerts that can fire."""

from __future__ import annotations

import re
import ssl

import httpx

from trust_ops.stack.files import project_file
from trust_otel.log_safe import url_origin

RULES = "monitoring/prometheus/trust-service-alerts.yml"

# The watchdog always fires and goes to the dead man's switch; escalations are recorded under the name of the escalated
# alert. No incident has these names.
_NEVER_DELIVERED = frozenset({"TrustWatchdog", "TrustEscalation"})

_ALERT = re.compile(r"""^\s*(?:-\s+)?alert:\s*["']?(\w+)""", re.MULTILINE)


class RulesError(RuntimeError):
    """The alert rules could not be read from Prometheus."""


def own_rules() -> frozenset[str]:
    """The alerts of trust-otel. Raises FileNotFoundError."""
    return frozenset(_ALERT.findall(project_file(RULES).read_text(encoding="utf-8"))) - _NEVER_DELIVERED


def rules_of(prometheus: str, transport: httpx.BaseTransport | None = None) -> frozenset[str]:
    """The alerts that a Prometheus has loaded. Raises RulesError."""
    where = url_origin(prometheus)
    try:
        with httpx.Client(transport=transport, trust_env=False, verify=ssl.create_default_context()) as client:
            answer = client.get(f"{prometheus.rstrip('/')}/api/v1/rules", params={"type": "alert"})
        if not answer.is_success:
            # Not raise_for_status, whose message holds the whole URL.
            raise RulesError(f"--prometheus {where} responded with {answer.status_code} to the request for its rules")
        groups = answer.json()["data"]["groups"]
        return frozenset(rule["name"] for group in groups for rule in group["rules"]) - _NEVER_DELIVERED
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise RulesError(f"the rules of --prometheus {where} cannot be read: {type(error).__name__}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RulesError(f"the response of --prometheus {where} is not that of Prometheus") from error
