"""Error budgets that are used up too fast: multiwindow, multi-burn-rate alerts for the objectives of each indicator.

The objectives and their limits are series (trust_ops/site_config/slo_rules.py).
"""

from __future__ import annotations

from typing import Final

from monitoring.alerts.declaration import Alert, Group, Panel, number

# Each short window has the limit of its long one.
_FAST: Final = """
    (
      (
        service:slo_errors_per_event:ratio_rate1h > on (slo) group_left () slo:error_limit_1h:ratio
        and
        service:slo_errors_per_event:ratio_rate5m > on (slo) group_left () slo:error_limit_1h:ratio
      )
      or
      (
        service:slo_errors_per_event:ratio_rate6h > on (slo) group_left () slo:error_limit_6h:ratio
        and
        service:slo_errors_per_event:ratio_rate30m > on (slo) group_left () slo:error_limit_6h:ratio
      )
    )
    and on (slo)
    slo:objective:ratio{indicator="<indicator>"}
    and
    service:slo_errors:increase1h >= $minimum
"""
_SLOW: Final = """
    (
      (
        service:slo_errors_per_event:ratio_rate1d > on (slo) group_left () slo:error_limit_1d:ratio
        and
        service:slo_errors_per_event:ratio_rate2h > on (slo) group_left () slo:error_limit_1d:ratio
      )
      or
      (
        service:slo_errors_per_event:ratio_rate3d > on (slo) group_left () slo:error_limit_3d:ratio
        and
        service:slo_errors_per_event:ratio_rate6h > on (slo) group_left () slo:error_limit_3d:ratio
      )
    )
    and on (slo)
    slo:objective:ratio{indicator="<indicator>"}
    and
    sum_over_time(service:slo_errors:increase1h[1d:1h]) >= $minimum
"""


def _of_objective(series: str, form: str) -> str:
    """A template: the value of a series of the alert's objective."""
    found = f"{{{{ if eq .Labels.slo $labels.slo }}}}{{{{ .Value | {form} }}}}{{{{ end }}}}"
    return f'{{{{ range query "{series}" }}}}{found}{{{{ end }}}}'


_BUDGET: Final = _of_objective("slo:error_budget:ratio", "humanizePercentage")
_THRESHOLD: Final = _of_objective("slo:latency_threshold:seconds", "humanizeDuration")
_PANEL: Final = Panel("operational", 22)


def _budget_burn(name: str, indicator: str, *, failed: str) -> tuple[Alert, Alert]:
    """The two alerts of one indicator: a page for a fast burn, a warning for a slow one."""
    description = f"{{{{ $value | humanizePercentage }}}} of the {failed} (error budget {_BUDGET})."
    fast = Alert(
        name=name,
        reason="""
            A fast burn uses 2 % of the error budget in one hour, or 5 % in six hours. The limits of each objective are
            recorded; an objective that does not page has none. The short window resolves the alert soon after the fault
            has ended. At least five errors per hour.
        """,
        expression=_FAST.replace("<indicator>", indicator),
        minimum=number(5),
        wait="2m",
        keep_firing="5m",
        severity="critical",
        team="platform",
        category="slo",
        panel=_PANEL,
        summary="{{ $labels.service_name }} burns the error budget of {{ $labels.slo }} fast.",
        description=description,
    )
    slow = Alert(
        name=name,
        reason="""
            A slow burn uses 10 % of the error budget in one day or in three days, and at least as much as the objective
            allows. At least ten errors per day.
        """,
        expression=_SLOW.replace("<indicator>", indicator),
        minimum=number(10),
        wait="15m",
        keep_firing="5m",
        severity="warning",
        team="platform",
        category="slo",
        panel=_PANEL,
        summary="{{ $labels.service_name }} burns the error budget of {{ $labels.slo }} too fast.",
        description=description,
    )
    return fast, slow


GROUP = Group(
    "trust-service.slo",
    (
        *_budget_burn("TrustAvailabilityBudgetBurn", "availability", failed="requests failed"),
        *_budget_burn("TrustLatencyBudgetBurn", "latency", failed=f"requests took longer than {_THRESHOLD}"),
        *_budget_burn("TrustValidationBudgetBurn", "validation", failed="validations ended with an error"),
    ),
)
