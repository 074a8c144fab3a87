"""Critical alerts that nobody has acknowledged."""

from __future__ import annotations

from monitoring.alerts.declaration import Alert, Group, Panel


def _escalation(level: str, minutes: int, reason: str) -> Alert:
    return Alert(
        name="TrustEscalation",
        reason=reason,
        expression="""
            label_replace(
              max without (alertstate) (ALERTS{alertname=~"Trust.+", alertstate="firing", severity="critical", escalation_level=""}),
              "escalated_alertname", "$1", "alertname", "(.+)"
            )
        """,
        wait=f"{minutes}m",
        service=None,
        escalation_level=level,
        panel=Panel("operational", 9),
        runbook="{{ $labels.escalated_alertname }}",
        summary=f"{{{{ $labels.escalated_alertname }}}} of {{{{ $labels.service }}}} has gone on for {minutes} minutes.",
        description="""
            Nobody has acknowledged {{ $labels.escalated_alertname }} ({{ $labels.service }}, team {{ $labels.team }}), and it still fires.
        """,
    )


GROUP = Group(
    "trust-service.escalation",
    (
        _escalation(
            "team-lead",
            15,
            """
            R6: L2, the team lead.
            A critical alert goes on as one alert for each level, with all labels of its own and `escalation_level`. Prometheus
            keeps the time, because it remembers it over restarts; Alertmanager would begin to wait anew after each restart and
            reload. On the way to Alertmanager the name becomes that of the escalated alert (`alert_relabel_configs` in
            prometheus.yml), so that a silence of the alert, which is its acknowledgement, holds its escalation too. Two alerts
            cannot collide: all their labels stay. An escalation does not escalate (`escalation_level=""`).
            """,
        ),
        _escalation("manager", 30, "R6: L3, the engineering manager."),
        _escalation("executives", 60, "R6: L4, the executives."),
    ),
)
