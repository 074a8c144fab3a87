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
        summary=f"{{{{ $labels.escalated_alertname }}}} of {{{{ $labels.service }}}} has been firing for {minutes} minutes.",
        description="""
            {{ $labels.escalated_alertname }} ({{ $labels.service }}, team {{ $labels.team }}) is still firing, and nobody has acknowledged it.
        """,
    )


GROUP = Group(
    "trust-service.escalation",
    (
        _escalation(
            "team-lead",
            15,
            """
            Level 2, the team lead.

            Each level is an alert with all labels of the critical alert and `escalation_level`. Prometheus measures the
            time, because it keeps it across restarts; `group_wait` of Alertmanager begins again after each restart and
            reload. `alert_relabel_configs` in prometheus.yml sends an escalation under the name of the escalated alert, so
            that a silence of that alert, which acknowledges it, also silences its escalation. All labels are kept, so two
            alerts cannot collide. Escalations do not escalate (`escalation_level=""`).
            """,
        ),
        _escalation("manager", 30, "Level 3, the engineering manager."),
        _escalation("executives", 60, "Level 4, the executives."),
    ),
)
