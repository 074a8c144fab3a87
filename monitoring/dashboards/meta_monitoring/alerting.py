"""Whether rules are evaluated and people are told."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, stat, timeseries

from monitoring.dashboards.panels import About, Signal, bars, number, trend
from monitoring.dashboards.template import OPERATIONAL, panel_url
from monitoring.dashboards.thresholds import RED, falling, rising


def watchdog() -> stat.Panel:
    """Whether alerts can fire at all."""
    return number(
        About(
            21,
            "Watchdog",
            "An alert that always fires. The dead man's switch outside calls when it no longer hears it.",
            "Silent: Prometheus evaluates no rules. See its log, and the rule files.",
            "Silent: Prometheus evaluates no rules.",
        ),
        "none",
        (Signal("watchdog", 'count(ALERTS{alertname="TrustWatchdog", alertstate="firing"})'),),
        levels=falling(red=1),
        words={"1": ("fires", "green")},
        missing=("Silent", RED),
        sparkline=False,
        width=4,
        height=8,
    )


def rules() -> timeseries.Panel:
    """4."""
    return trend(
        About(
            4,
            "Rule evaluation failures",
            "Rules that could not be evaluated, and evaluations that were left out because the one before took too "
            "long.",
            "A failure: its message is on Prometheus' page of rules. Left out: see which group is slow, beside.",
            "Prometheus is not scraped.",
            alerts=("TrustRuleEvaluationFailures",),
        ),
        "short",
        (
            Signal(
                "failed", "sum(increase(prometheus_rule_evaluation_failures_total[$__rate_interval]))", colour="red"
            ),
            Signal(
                "left out",
                "sum(increase(prometheus_rule_group_iterations_missed_total[$__rate_interval]))",
                colour="orange",
            ),
        ),
        width=10,
    )


def groups() -> bargauge.Panel:
    """Which rules are expensive."""
    # Without the folder, which is long and the same for all.
    group = '"group", "$1", "rule_group", ".*;trust-service\\\\.(.*)"'
    share = (
        "max by (rule_group) (prometheus_rule_group_last_duration_seconds)"
        " / (max by (rule_group) (prometheus_rule_group_interval_seconds) > 0)"
    )
    return bars(
        About(
            22,
            "Slowest rule groups",
            "How much of its interval the last evaluation of a group took; the ten slowest.",
            "Near 100 % evaluations are left out, and alerts come late. Let it read recorded series, or give it an "
            "interval.",
            "Prometheus has no rules.",
        ),
        "percentunit",
        (Signal("{{group}}", f"topk(10, max by (group) (label_replace({share}, {group})))"),),
        levels=rising(yellow=0.3, red=0.8),
        width=10,
    )


def notifications() -> timeseries.Panel:
    """5."""
    sent = "sum by (integration) (increase(alertmanager_notifications_total[$__rate_interval]))"
    told_in_any_case = sent.replace("[", '{integration="webhook"}[')
    return trend(
        About(
            5,
            "Notifications",
            "What Alertmanager sends by each channel, and what it fails to send.",
            "Failed: the channel's address, key, or its server. Alertmanager tries again, but somebody waits to be "
            "told.",
            "No Alertmanager is scraped.",
            alerts=("TrustNotificationsFailing", "TrustWatchdog"),
        ),
        "short",
        (
            Signal(
                "{{integration}}",
                # Of all the channels that there could be, those in use; and the one that is told in any case.
                f"{sent} > 0 or {told_in_any_case}",
            ),
            Signal(
                "failed",
                "sum(increase(alertmanager_notifications_failed_total[$__rate_interval]))",
                colour="red",
            ),
        ),
        width=10,
    )


def delivery() -> stat.Panel:
    """How well people are told."""

    def sent(series: str) -> str:
        return f"sum(increase(alertmanager_{series}[$__range]))"

    return number(
        About(
            34,
            "Delivery",
            "Notifications of the time shown that arrived, the mean time that a channel took to accept one, and how "
            "many Alertmanagers share the work.",
            "Not all arrived: see which channel fails, beside. One Alertmanager where there should be two: the other "
            "is down, or they cannot reach each other and both notify.",
            "No Alertmanager is scraped.",
            alerts=("TrustNotificationsFailing",),
        ),
        "percentunit",
        (
            Signal(
                "delivered",
                f"1 - {sent('notifications_failed_total')} / ({sent('notifications_total')} > 0)",
            ),
            Signal(
                "mean time",
                f"{sent('notification_latency_seconds_sum')} / ({sent('notification_latency_seconds_count')} > 0)",
                "s",
            ),
            Signal(
                "Alertmanagers",
                "min(alertmanager_cluster_members) or count(alertmanager_config_last_reload_successful)",
                "none",
            ),
        ),
        sparkline=False,
        height=8,
    )


def alerts() -> timeseries.Panel:
    """What Alertmanager holds."""
    return trend(
        About(
            23,
            "Alerts and silences in Alertmanager",
            "Alerts that it knows of: active ones, and those that a silence or another alert suppresses; and active "
            "silences.",
            "Many suppressed: is a silence older than its reason? `amtool silence` lists them.",
            "No Alertmanager is scraped.",
            links={"Which alerts": panel_url(OPERATIONAL, 9)},
        ),
        "short",
        (
            Signal("{{state}}", 'max by (state) (alertmanager_alerts{state=~"active|suppressed"})'),
            Signal("silences", 'max(alertmanager_silences{state="active"})', dashed=True),
        ),
        width=10,
    )
