"""Who logs in, how, and who fails."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import table, timeseries

from monitoring.dashboards.panels import About, Column, Signal, rows, trend
from monitoring.dashboards.queries import increase, rate, share, total
from monitoring.dashboards.security.constants import (
    ADDRESSES,
    BRUTE_FORCE_LIMIT,
    BURST_LIMIT,
    FAILED,
    LOGINS,
    NO_LOGINS,
    NO_SECOND_FACTORS,
    ORIGINS,
    SECOND_FACTORS,
    THREATS,
    WITH_CREDENTIALS,
    counted,
    failing,
    known,
    no_row,
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
_NOBODY: Final = "no address fails again and again"
_SHOWN_ADDRESSES: Final = 20


def attempts() -> timeseries.Panel:
    """Successes and failures, and the share of these."""
    tried, failed = (total(rate(TRUST_AUTH_ATTEMPTS, WITH_CREDENTIALS, *more)) for more in ((), (FAILED,)))

    def outcome(name: str) -> str:
        matcher = f'trust_outcome="{name}"'
        return f"{total(rate(TRUST_AUTH_ATTEMPTS, WITH_CREDENTIALS, matcher))} * 60"

    return trend(
        About(
            LOGINS,
            "Authentication success and failure rates",
            "Logins in a minute, by how they ended, and the share of those that failed (right axis). Error: nobody "
            "could tell, as when the directory is away. Requests without credentials do not count.",
            "The share jumps: compare with failing addresses and countries. It jumps for one method only, and from "
            "everywhere: that method is broken (see by method).",
            NO_LOGINS,
            links={
                "Failing addresses": panel_url(SECURITY, ADDRESSES),
                "Countries": panel_url(SECURITY, ORIGINS),
            },
        ),
        "cpm",
        (
            *(
                Signal(name, f"{outcome(name)} or {known(TRUST_AUTH_ATTEMPTS)}", colour=colour)
                for name, colour in (("success", "green"), ("failure", "red"), ("error", "purple"))
            ),
            Signal("share that failed", share(failed, tried), "percentunit", dashed=True, colour="orange"),
        ),
        height=9,
    )


def methods() -> table.Panel:
    """The same by method, as numbers."""

    def count(*matchers: str) -> str:
        return total(increase(TRUST_AUTH_ATTEMPTS, *matchers), _METHOD)

    def outcome(name: str) -> str:
        return counted(count(f'trust_outcome="{name}"'), f"{count()} * 0")

    return rows(
        About(
            27,
            "Authentication by method",
            "Attempts in the time shown, by how the caller proved who it is.",
            "A method that fails more than the others: attacked, or broken. `none` are requests without credentials.",
            NO_LOGINS,
        ),
        {_METHOD: "Method"},
        (
            Column("Succeeded", outcome("success"), "short", width=100),
            Column("Failed", outcome("failure"), "short", width=100),
            Column("Undecided", outcome("error"), "short", width=100),
            Column("Share failed", share(count(FAILED), count()), "percentunit", width=110),
        ),
        sort="Failed",
        width=12,
        height=9,
    )


def failing_addresses() -> table.Panel:
    """The addresses that fail most, against the limits of the alerts."""
    keys = ("service_name", "client_address")
    in_an_hour = failing("1h", *keys)
    worst = f"topk({_SHOWN_ADDRESSES}, {in_an_hour})"

    def shown(over: str) -> str:
        return counted(f"({failing(over, *keys)} and {worst})")

    nobody = no_row("client_address", _NOBODY, known(TRUST_AUTH_ATTEMPTS))
    return rows(
        About(
            ADDRESSES,
            "Failed authentication by IP address",
            f"The {_SHOWN_ADDRESSES} addresses with the most failed logins. An address appears once it has failed "
            f"several times within an hour. Limits: {BURST_LIMIT - 1:g} in a minute, {BRUTE_FORCE_LIMIT - 1:g} in an "
            "hour.",
            "Block an address in red. If it is a proxy or an office, find the account that fails behind it first.",
            NO_LOGINS,
            alerts=("TrustBruteForceFromAddress", "TrustAuthFailuresFromAddress"),
            links={"Threat feeds": panel_url(SECURITY, THREATS)},
        ),
        {"client_address": "Address", "service_name": "Service"},
        (
            Column(
                "1 minute",
                f"{shown('1m')} or {nobody}",
                "none",
                levels=rising(yellow=BURST_LIMIT / 2, red=BURST_LIMIT),
                width=100,
            ),
            Column(
                "1 hour",
                f"round({worst}) or {nobody}",
                "none",
                levels=rising(yellow=BRUTE_FORCE_LIMIT / 2, red=BRUTE_FORCE_LIMIT),
                width=100,
            ),
        ),
        sort="1 hour",
        width=12,
        height=10,
    )


def failures() -> timeseries.Panel:
    """All failures, those of addresses in the table, and those for which the table has no room."""

    def in_a_minute(query: str) -> str:
        return f"{total(query)} * 60 or {known(TRUST_AUTH_ATTEMPTS)}"

    return trend(
        About(
            28,
            "Where failures come from",
            "Failed logins in a minute: all; those of addresses that fail again and again; and those of addresses for "
            "which there was no room (`_other`), which no alert of an address sees.",
            "Few addresses make most of it: block them. All rises and they do not: an attack from many addresses; "
            "look at countries and threat feeds. No room: raise TRUST_OTEL_OFFENDER_CAPACITY or _THRESHOLD.",
            NO_LOGINS,
            links={"Countries": panel_url(SECURITY, ORIGINS)},
        ),
        "cpm",
        (
            Signal("all addresses", in_a_minute(rate(TRUST_AUTH_ATTEMPTS, FAILED, WITH_CREDENTIALS))),
            Signal(
                "repeatedly failing addresses",
                in_a_minute(rate(TRUST_SECURITY_AUTH_FAILURES, 'client_address!="_other"')),
            ),
            Signal(
                "addresses without room", in_a_minute(rate(TRUST_SECURITY_AUTH_FAILURES, 'client_address="_other"'))
            ),
        ),
        height=10,
    )


def second_factors() -> timeseries.Panel:
    """Challenges by method and outcome, and the share that was refused."""
    failed = total(rate(TRUST_AUTH_MFA_CHALLENGES, FAILED))

    def by_method(*matchers: str) -> str:
        return total(rate(TRUST_AUTH_MFA_CHALLENGES, *matchers), _MFA_METHOD)

    return trend(
        About(
            SECOND_FACTORS,
            "Multi-factor authentication trends",
            "Challenges for a second factor in a minute, by method and how they ended, and the share that failed "
            "(right axis).",
            "Many failures of one method: it is broken, or clocks are wrong (TOTP). Many refused pushes: MFA "
            "fatigue; ask the owners. A share that rises with failed logins: passwords are known to somebody.",
            NO_SECOND_FACTORS,
            links={"Suspicious activity": panel_url(SECURITY, 5)},
        ),
        "cpm",
        (
            *(
                Signal(
                    "{{" + _MFA_METHOD + "}} " + words,
                    f"({by_method(matcher)} or {by_method()} * 0) * 60",
                    colour=colour,
                )
                for words, matcher, colour in (
                    ("passed", 'trust_outcome="success"', "green"),
                    ("not passed", FAILED, "red"),
                )
            ),
            Signal(
                "share that failed",
                share(failed, total(rate(TRUST_AUTH_MFA_CHALLENGES))),
                "percentunit",
                dashed=True,
                colour="orange",
            ),
        ),
        width=24,
        height=9,
    )
