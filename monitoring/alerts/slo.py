"""Error budgets that are used up too fast: multiwindow, multi-burn-rate alerts for each objective."""

from __future__ import annotations

from typing import Final

from monitoring.alerts.declaration import Alert, Group, Panel, Threshold, number, ratio

PAGE_FACTOR: Final = 14.4
"""The burn rate over an hour that pages."""

# The threshold is the error budget. Each short window has the factor of its long one.
_FAST: Final = """
    (
      (
        service:slo_errors_per_event:ratio_rate1h{slo="<slo>"} > <page factor> * $threshold
        and
        service:slo_errors_per_event:ratio_rate5m > <page factor> * $threshold
      )
      or
      (
        service:slo_errors_per_event:ratio_rate6h{slo="<slo>"} > 6 * $threshold
        and
        service:slo_errors_per_event:ratio_rate30m > 6 * $threshold
      )
    )
    and
    service:slo_errors:increase1h >= $minimum
"""
_SLOW: Final = """
    (
      (
        service:slo_errors_per_event:ratio_rate1d{slo="<slo>"} > 3 * $threshold
        and
        service:slo_errors_per_event:ratio_rate2h > 3 * $threshold
      )
      or
      (
        service:slo_errors_per_event:ratio_rate3d{slo="<slo>"} > 1 * $threshold
        and
        service:slo_errors_per_event:ratio_rate6h > 1 * $threshold
      )
    )
    and
    sum_over_time(service:slo_errors:increase1h[1d:1h]) >= $minimum
"""


def _budget_burn(
    name: str, slo: str, *, budget: Threshold, objective: str, failed: str, panel: Panel
) -> tuple[Alert, Alert]:
    """The two alerts of one objective: a page for a fast burn, a warning for a slow one."""
    fast = Alert(
        name=name,
        reason=f"""
            Objective: {objective}.
            A burn rate of {PAGE_FACTOR:g} uses 2 % of the monthly budget in one hour, a burn rate of 6 uses 5 % in six
            hours. The short window resolves the alert soon after the fault has ended. At least five errors per hour.
        """,
        expression=_FAST.replace("<slo>", slo).replace("<page factor>", f"{PAGE_FACTOR:g}"),
        threshold=budget,
        minimum=number(5),
        wait="2m",
        keep_firing="5m",
        severity="critical",
        team="platform",
        category="slo",
        panel=panel,
        summary=f"{{{{ $labels.service_name }}}} burns its {slo} error budget fast.",
        description=f"{{{{ $value | humanizePercentage }}}} of the {failed} (budget $threshold).",
    )
    slow = Alert(
        name=name,
        reason="Slow burn: 10 % of the monthly budget in one day or in three days. At least ten errors per day.",
        expression=_SLOW.replace("<slo>", slo),
        threshold=budget,
        minimum=number(10),
        wait="15m",
        keep_firing="5m",
        severity="warning",
        team="platform",
        category="slo",
        panel=panel,
        summary=f"{{{{ $labels.service_name }}}} burns its {slo} error budget too fast.",
        description=f"{{{{ $value | humanizePercentage }}}} of the {failed} (budget $threshold).",
    )
    return fast, slow


GROUP = Group(
    "trust-service.slo",
    (
        *_budget_burn(
            "TrustAvailabilityBudgetBurn",
            "availability",
            budget=ratio(0.001),
            objective="99.9 % of the HTTP requests and gRPC calls do not fail with an error of the server",
            failed="requests failed",
            panel=Panel("operational", 22),
        ),
        *_budget_burn(
            "TrustLatencyBudgetBurn",
            "latency",
            budget=ratio(0.01),
            objective="99 % of the HTTP requests and unary gRPC calls are answered within half a second",
            failed="requests took longer than half a second",
            panel=Panel("operational", 22),
        ),
        *_budget_burn(
            "TrustValidationBudgetBurn",
            "validation",
            budget=ratio(0.001),
            objective="99.9 % of the validations end with a result, valid or not valid",
            failed="validations ended with an error",
            panel=Panel("operational", 22),
        ),
    ),
)
