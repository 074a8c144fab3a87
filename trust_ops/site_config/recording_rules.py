"""The recording rules with the values of a site."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from trust_ops.site_config.rule_templates import alternatives, route_matcher

UNMONITORED: Final = "namespace:kube_pods_unmonitored:count"
"""The namespaces that alerts about containers leave out."""

_BUCKETS: Final = "rate(http_server_request_duration_seconds_bucket[2m])"
_EXPRESSION: Final = re.compile(rf"(- record: {UNMONITORED}\n +expr: \|\n)(?:( +).+\n)+")


def with_namespaces(rules: str, namespaces: Sequence[str]) -> str:
    """The text of the recording rules, with alerts about containers only in these namespaces.

    Without a list the text does not change: the namespaces are those in which services report. Raises ValueError when
    the rule is not there.
    """
    if not namespaces:
        return rules
    others = f'count by (namespace) (kube_pod_info{{namespace!~"{alternatives(namespaces)}"}})'
    text, found = _EXPRESSION.subn(lambda rule: f"{rule[1]}{rule[2]}{others}\n", rules)
    if found != 1:
        raise ValueError(f"the recording rules have {found} rules {UNMONITORED}")
    return text


def with_critical_routes(rules: str, routes: Sequence[str]) -> str:
    """The text of the recording rules, with the recorded HTTP latency of a service only of these routes.

    So the alert and the panels show the same latency. Without a list the text does not change. Raises ValueError when
    the rule is not there.
    """
    if not routes:
        return rules
    if rules.count(_BUCKETS) != 1:
        raise ValueError(f"the recording rules have {rules.count(_BUCKETS)} times {_BUCKETS}")
    return rules.replace(_BUCKETS, _BUCKETS.replace("[", f"{{{route_matcher(routes)}}}["))
