"""Rule evaluation and alert delivery."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries

from monitoring.dashboards.panels import Column, PanelText, Query, stat_panel, table_panel, time_series_panel
from monitoring.dashboards.template import OPERATIONAL, panel_url
from monitoring.dashboards.thresholds import RED, falling, rising


def watchdog() -> stat.Panel:
    """Whether TrustWatchdog fires."""
    return stat_panel(
        PanelText(
            21,
            "Watchdog",
            "TrustWatchdog, an alert that always fires. The external dead man's switch notifies on-call when it "
            "stops receiving it.",
            "Not firing: Prometheus evaluates no rules. Check its log and the rule files.",
            "TrustWatchdog does not fire: Prometheus evaluates no rules.",
            alerts=("TrustWatchdog",),
        ),
        "none",
        (Query("TrustWatchdog", 'count(ALERTS{alertname="TrustWatchdog", alertstate="firing"})'),),
        levels=falling(red=1),
        texts={"1": ("firing", "green")},
        missing=("Not firing", RED),
        sparkline=False,
        width=4,
        height=8,
    )


def rule_evaluation_failures() -> timeseries.Panel:
    """Failed and skipped rule evaluations."""
    return time_series_panel(
        PanelText(
            4,
            "Rule evaluation failures",
            "Failed rule evaluations, and evaluations skipped because the previous one took too long.",
            "Failed: see the error on the Rules page of Prometheus. Skipped: find the slow group in Slowest rule "
            "groups.",
            "Prometheus is not scraped.",
            alerts=("TrustRuleEvaluationFailures",),
        ),
        "short",
        (
            Query(
                "{{instance}} failed: {{rule_group}}",
                # Only groups that fail, and otherwise 0 for each Prometheus.
                "sum by (instance, rule_group) "
                "(increase(prometheus_rule_evaluation_failures_total[$__rate_interval])) > 0"
                " or on (instance) sum by (instance) (prometheus_rule_evaluation_failures_total) * 0",
                colour="red",
            ),
            Query(
                "skipped",
                "sum(increase(prometheus_rule_group_iterations_missed_total[$__rate_interval]))",
                colour="orange",
            ),
        ),
        width=10,
    )


def slowest_rule_groups() -> table.Panel:
    """Evaluation time of the slowest rule groups."""
    # Drop the folder of the rule file: it is long, and the same for all groups.
    group = '"group", "$1", "rule_group", ".*;trust-service\\\\.(.*)"'
    share = (
        "max by (rule_group) (prometheus_rule_group_last_duration_seconds)"
        " / (max by (rule_group) (prometheus_rule_group_interval_seconds) > 0)"
    )
    return table_panel(
        PanelText(
            22,
            "Slowest rule groups",
            "Duration of the last evaluation of a rule group as a share of its interval; the 10 slowest groups.",
            "Near 100 %, evaluations are skipped and alerts are delayed. Use recording rules in the group, or raise "
            "its interval.",
            "Prometheus has loaded no rules.",
        ),
        {"group": "Rule group"},
        (
            Column(
                "Share of interval",
                f"topk(10, max by (group) (label_replace({share}, {group})))",
                "percentunit",
                levels=rising(yellow=0.3, red=0.8),
            ),
        ),
        sort="Share of interval",
        width=10,
    )


def alert_notifications() -> timeseries.Panel:
    """Notifications by integration."""
    sent = "sum by (integration) (increase(alertmanager_notifications_total[$__rate_interval]))"
    webhook = sent.replace("[", '{integration="webhook"}[')
    return time_series_panel(
        PanelText(
            5,
            "Alert notifications",
            "Notifications sent by Alertmanager, by integration, and failed notifications.",
            "Failed: check the address and credentials of the integration, and the receiving server. Alertmanager "
            "retries, but the notification is delayed.",
            "No Alertmanager is scraped.",
            alerts=("TrustNotificationsFailing",),
        ),
        "short",
        (
            Query(
                "{{integration}}",
                # Only integrations in use, and always the webhook.
                f"{sent} > 0 or {webhook}",
            ),
            Query(
                "{{instance}} failed: {{integration}}",
                # Only integrations that fail, and otherwise 0 for each Alertmanager.
                "sum by (instance, integration) "
                "(increase(alertmanager_notifications_failed_total[$__rate_interval])) > 0"
                " or on (instance) sum by (instance) (alertmanager_notifications_failed_total) * 0",
                colour="red",
            ),
        ),
        width=10,
    )


def notification_delivery() -> stat.Panel:
    """Success rate and latency of notifications."""

    def sent(series: str) -> str:
        return f"sum(increase(alertmanager_{series}[$__range]))"

    return stat_panel(
        PanelText(
            34,
            "Notification delivery",
            "Share of notifications delivered in the selected time range, mean latency of the integrations, and "
            "number of Alertmanagers in the cluster.",
            "Below 100 %: find the failing integration in Alertmanager's log. Fewer Alertmanagers than deployed: "
            "one is down, or they cannot reach each other and all of them notify.",
            "No Alertmanager is scraped.",
            alerts=("TrustNotificationsFailing",),
        ),
        "percentunit",
        (
            Query(
                "delivered",
                f"1 - {sent('notifications_failed_total')} / ({sent('notifications_total')} > 0)",
            ),
            Query(
                "mean latency",
                f"{sent('notification_latency_seconds_sum')} / ({sent('notification_latency_seconds_count')} > 0)",
                "s",
            ),
            Query(
                "Alertmanagers",
                "min(alertmanager_cluster_members) or count(alertmanager_config_last_reload_successful)",
                "none",
            ),
        ),
        sparkline=False,
        height=8,
    )


def alerts_and_silences() -> timeseries.Panel:
    """Alerts and silences that Alertmanager holds."""
    return time_series_panel(
        PanelText(
            23,
            "Alertmanager alerts and silences",
            "Active alerts, alerts suppressed by a silence or an inhibition, and active silences.",
            "Many suppressed alerts: check for outdated silences with `amtool silence query`.",
            "No Alertmanager is scraped.",
            links={"Alert status overview": panel_url(OPERATIONAL, 9)},
        ),
        "short",
        (
            Query("{{state}}", 'max by (state) (alertmanager_alerts{state=~"active|suppressed"})'),
            Query("silences", 'max(alertmanager_silences{state="active"})', dashed=True),
        ),
        width=10,
    )
