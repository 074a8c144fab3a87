"""Authentication: outcomes, methods, failing addresses and MFA."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.dashboards.panels import Column, PanelText, Query, table_panel, time_series_panel
from monitoring.dashboards.queries import increase, rate, ratio, total, zero_if_recorded
from monitoring.dashboards.security.constants import (
    ADDRESSES,
    BRUTE_FORCE_LIMIT,
    BURST_LIMIT,
    FAILED,
    GEOGRAPHY,
    LOGINS,
    MFA,
    NO_LOGINS,
    NO_MFA,
    THREATS,
    WITH_CREDENTIALS,
    failures_by_address,
    placeholder_row,
    whole_events,
)
from monitoring.dashboards.template import SECURITY, panel_url
from monitoring.dashboards.thresholds import rising
from trust_otel.semconv.metrics import (
    TRUST_AUTH_ATTEMPTS,
    TRUST_AUTH_MFA_CHALLENGES,
    TRUST_SECURITY_AUTH_FAILURES,
)

_METHOD: Final = "trust_auth_method"
_MFA_METHOD: Final = "trust_auth_mfa_method"
_NO_ADDRESSES: Final = "no repeatedly failing addresses"
_SHOWN_ADDRESSES: Final = 20


def authentication_outcomes() -> timeseries.Panel:
    """Login attempts by outcome, and the failure rate."""
    tried, failed = (total(rate(TRUST_AUTH_ATTEMPTS, WITH_CREDENTIALS, *more)) for more in ((), (FAILED,)))

    def outcome(name: str) -> str:
        matcher = f'trust_outcome="{name}"'
        return f"{total(rate(TRUST_AUTH_ATTEMPTS, WITH_CREDENTIALS, matcher))} * 60"

    return time_series_panel(
        PanelText(
            LOGINS,
            "Authentication success and failure rates",
            "Login attempts per minute by outcome, and the failure rate (right axis). Error: the credentials could "
            "not be checked, for example because the directory is down. Requests without credentials are not "
            "counted.",
            "The failure rate jumps: compare with Failed authentication by IP address and Authentication and "
            "threats by country. It jumps for one method from all addresses: that method is broken, see "
            "Authentication by method.",
            NO_LOGINS,
            links={
                "Failed authentication by IP address": panel_url(SECURITY, ADDRESSES),
                "Geographic distribution": panel_url(SECURITY, GEOGRAPHY),
            },
        ),
        "cpm",
        (
            *(
                Query(name, f"{outcome(name)} or {zero_if_recorded(TRUST_AUTH_ATTEMPTS)}", colour=colour)
                for name, colour in (("success", "green"), ("failure", "red"), ("error", "purple"))
            ),
            Query("failure rate", ratio(failed, tried), "percentunit", dashed=True, colour="orange"),
        ),
        height=9,
    )


def authentication_methods() -> table.Panel:
    """Login attempts by authentication method."""

    def count(*matchers: str) -> str:
        return total(increase(TRUST_AUTH_ATTEMPTS, *matchers), _METHOD)

    def outcome(name: str) -> str:
        return whole_events(count(f'trust_outcome="{name}"'), f"{count()} * 0")

    return table_panel(
        PanelText(
            27,
            "Authentication by method",
            "Login attempts in the selected time range by authentication method. Requests without credentials have "
            "the method `none`.",
            "A method fails more often than the others: it is under attack or broken.",
            NO_LOGINS,
        ),
        {_METHOD: "Method"},
        (
            Column("Succeeded", outcome("success"), "short", width=100),
            Column("Failed", outcome("failure"), "short", width=100),
            Column("Errors", outcome("error"), "short", width=100),
            Column("Failure rate", ratio(count(FAILED), count()), "percentunit", width=110),
        ),
        sort="Failed",
        width=12,
        height=9,
    )


def failing_addresses() -> table.Panel:
    """Addresses with the most failed logins, against the alert thresholds."""
    keys = ("service_name", "client_address")
    in_an_hour = failures_by_address("1h", *keys)
    worst = f"topk({_SHOWN_ADDRESSES}, {in_an_hour})"

    def shown(over: str) -> str:
        return whole_events(f"({failures_by_address(over, *keys)} and {worst})")

    no_addresses = placeholder_row("client_address", _NO_ADDRESSES, zero_if_recorded(TRUST_AUTH_ATTEMPTS))
    return table_panel(
        PanelText(
            ADDRESSES,
            "Failed authentication by IP address",
            f"The {_SHOWN_ADDRESSES} addresses with the most failed logins. An address is listed after several "
            f"failures within an hour. An alert fires above {BURST_LIMIT - 1:g} in a minute or "
            f"{BRUTE_FORCE_LIMIT - 1:g} in an hour.",
            "Block addresses in red. If the address is a proxy or an office, first find the failing account behind it.",
            NO_LOGINS,
            alerts=("TrustBruteForceFromAddress", "TrustAuthFailuresFromAddress"),
            links={"Threat feeds": panel_url(SECURITY, THREATS)},
        ),
        {"client_address": "Address", "service_name": "Service"},
        (
            Column(
                "1 minute",
                f"{shown('1m')} or {no_addresses}",
                "none",
                levels=rising(yellow=BURST_LIMIT / 2, red=BURST_LIMIT),
                width=100,
            ),
            Column(
                "1 hour",
                f"round({worst}) or {no_addresses}",
                "none",
                levels=rising(yellow=BRUTE_FORCE_LIMIT / 2, red=BRUTE_FORCE_LIMIT),
                width=100,
            ),
        ),
        sort="1 hour",
        width=12,
        height=10,
    )


def failed_logins_by_source() -> timeseries.Panel:
    """Failed logins: all, of tracked addresses, and of untracked addresses."""

    def in_a_minute(query: str) -> str:
        return f"{total(query)} * 60 or {zero_if_recorded(TRUST_AUTH_ATTEMPTS)}"

    return time_series_panel(
        PanelText(
            28,
            "Failed logins by source",
            "Failed logins per minute: of all addresses, of repeatedly failing addresses, and of addresses beyond "
            "the capacity (`_other`), which no per-address alert covers.",
            "Few addresses cause most failures: block them. All addresses rise but repeatedly failing ones do not: "
            "a distributed attack; check countries and threat feeds. Untracked addresses: raise "
            "TRUST_OTEL_OFFENDER_CAPACITY or TRUST_OTEL_OFFENDER_THRESHOLD.",
            NO_LOGINS,
            links={"Geographic distribution": panel_url(SECURITY, GEOGRAPHY)},
        ),
        "cpm",
        (
            Query("all addresses", in_a_minute(rate(TRUST_AUTH_ATTEMPTS, FAILED, WITH_CREDENTIALS))),
            Query(
                "repeatedly failing addresses",
                in_a_minute(rate(TRUST_SECURITY_AUTH_FAILURES, 'client_address!="_other"')),
            ),
            Query("untracked addresses", in_a_minute(rate(TRUST_SECURITY_AUTH_FAILURES, 'client_address="_other"'))),
        ),
        height=10,
    )


def mfa_challenges() -> timeseries.Panel:
    """MFA challenges by method and outcome, and the failure rate."""
    failed = total(rate(TRUST_AUTH_MFA_CHALLENGES, FAILED))

    def by_method(*matchers: str) -> str:
        return total(rate(TRUST_AUTH_MFA_CHALLENGES, *matchers), _MFA_METHOD)

    return time_series_panel(
        PanelText(
            MFA,
            "Multi-factor authentication trends",
            "MFA challenges per minute by method and outcome, and the failure rate (right axis).",
            "One method fails often: it is broken, or clocks are out of sync (TOTP). Many rejected push requests: "
            "MFA fatigue attack; contact the account owners. MFA failures rise together with failed logins: "
            "passwords may have leaked.",
            NO_MFA,
            links={"Suspicious activity": panel_url(SECURITY, 5)},
        ),
        "cpm",
        (
            *(
                Query(
                    "{{" + _MFA_METHOD + "}} " + outcome,
                    f"({by_method(matcher)} or {by_method()} * 0) * 60",
                    colour=colour,
                )
                for outcome, matcher, colour in (
                    ("passed", 'trust_outcome="success"', "green"),
                    ("failed", FAILED, "red"),
                )
            ),
            Query(
                "failure rate",
                ratio(failed, total(rate(TRUST_AUTH_MFA_CHALLENGES))),
                "percentunit",
                dashed=True,
                colour="orange",
            ),
        ),
        width=24,
        height=9,
    )
