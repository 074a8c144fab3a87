"""Where logins and attacks come from, and what threat feeds know."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import geomap, table, timeseries

from monitoring.dashboards.panels import UP_OR_DOWN, About, Column, Signal, rows, trend, world
from monitoring.dashboards.queries import file_name, increase, named, series, share, total
from monitoring.dashboards.security.constants import (
    ADDRESSES,
    FAILED,
    NO_FEEDS,
    ORIGINS,
    THREATS,
    WITH_CREDENTIALS,
    counted,
)
from monitoring.dashboards.template import MONITORING, SECURITY, panel_url
from monitoring.dashboards.thresholds import NEUTRAL, Levels
from trust_otel.semconv.metrics import (
    TRUST_AUTH_ATTEMPTS,
    TRUST_OTEL_SOURCE_LAST_READ,
    TRUST_OTEL_SOURCE_UP,
    TRUST_SECURITY_THREAT_MATCHES,
)

_COUNTRY: Final = "geo_country_iso_code"
_KNOWN_COUNTRY: Final = f'{_COUNTRY}!=""'
_FEED: Final = "trust_threat_feed"
_SOURCE: Final = "trust_otel_source_name"
_REPUTATION: Final = 'trust_otel_source_kind="reputation"'
_LISTS: Final = 'trust_otel_source_kind=~"reputation|geoip"'


def _attempts(*matchers: str) -> str:
    return total(increase(TRUST_AUTH_ATTEMPTS, WITH_CREDENTIALS, _KNOWN_COUNTRY, *matchers), _COUNTRY)


def _threats() -> str:
    return total(increase(TRUST_SECURITY_THREAT_MATCHES, _KNOWN_COUNTRY), _COUNTRY)


_NO_COUNTRY: Final = (
    "No country is known: nobody has logged in in this time, or TRUST_OTEL_GEOIP_DATABASE names no database."
)


def world_map() -> geomap.Panel:
    """Failed logins and threats of each country."""
    hostile = f"({_attempts(FAILED)} or {_attempts()} * 0)"
    both = f"sum by ({_COUNTRY}) ({named(hostile, 'kind', 'failed')} or {named(_threats(), 'kind', 'threat')})"
    return world(
        About(
            ORIGINS,
            "Geographic distribution of authentication and threats",
            "Failed logins and requests of listed addresses in the time shown, by the country of the address.",
            "A country where you have no users: attackers, or a hosting provider. See its numbers in the table.",
            _NO_COUNTRY,
            links={"Failing addresses": panel_url(SECURITY, ADDRESSES)},
        ),
        "none",
        Signal("{{" + _COUNTRY + "}}", counted(both)),
        _COUNTRY,
        levels=Levels("green", ((1, "orange"),)),
        height=11,
    )


def countries() -> table.Panel:
    """The same as numbers, with what succeeded."""
    tried = _attempts()
    everywhere = f"({tried} or {_threats()}) * 0"
    # A country with threats only has 0 logins where logins are recorded, and the other way round.
    no_logins = f"{everywhere} and on () {total(series(TRUST_AUTH_ATTEMPTS))}"
    feeds = f"({total(series(TRUST_SECURITY_THREAT_MATCHES))} or {total(series(TRUST_OTEL_SOURCE_UP, _REPUTATION))})"
    no_threats = f"{everywhere} and on () {feeds}"
    return rows(
        About(
            29,
            "Countries",
            "Logins and requests of listed addresses in the time shown, by the country of the address.",
            "Threats and successes from one country that is new to you: look at the sessions of these accounts.",
            _NO_COUNTRY,
        ),
        {_COUNTRY: "Country"},
        (
            Column("Logins", counted(_attempts('trust_outcome="success"'), no_logins), "none", width=90),
            Column(
                "Failed",
                counted(_attempts(FAILED), no_logins),
                "none",
                levels=Levels("transparent", ((1, NEUTRAL),)),
                width=90,
            ),
            Column("Share failed", share(_attempts(FAILED), tried), "percentunit", width=110),
            Column(
                "Threats",
                counted(_threats(), no_threats),
                "none",
                levels=Levels("transparent", ((1, "orange"),)),
                width=90,
            ),
        ),
        sort="Failed",
        width=12,
        height=11,
    )


def threats() -> timeseries.Panel:
    """Requests of listed addresses."""
    matches = total(increase(TRUST_SECURITY_THREAT_MATCHES, over="5m"), _FEED)
    feeds = f'label_replace({series(TRUST_OTEL_SOURCE_UP, _REPUTATION)}, "{_FEED}", "$1", "{_SOURCE}", "(.+)")'
    return trend(
        About(
            THREATS,
            "Threat intelligence, IP reputation",
            "Requests within 5 minutes from addresses that a reputation feed lists, by feed.",
            "A feed that suddenly matches much: an attack from known addresses, or a feed that lists too much. Compare "
            "with failed logins of the same country before blocking.",
            NO_FEEDS,
            links={
                "Failing addresses": panel_url(SECURITY, ADDRESSES),
                "Are the feeds read?": panel_url(MONITORING, 7),
            },
        ),
        "none",
        (
            Signal(
                "{{" + _FEED + "}}",
                counted(matches, f"sum by ({_FEED}) ({feeds}) * 0"),
            ),
        ),
    )


def feeds() -> table.Panel:
    """What the feeds and the country database are worth."""
    matches = total(increase(TRUST_SECURITY_THREAT_MATCHES, over="1d"), _FEED)
    by_source = f'label_replace({matches}, "{_SOURCE}", "$1", "{_FEED}", "(.+)")'
    of_feeds = f"sum by ({_SOURCE}) ({by_source})"
    return rows(
        About(
            30,
            "Feeds and country database",
            "Whether every instance reads them, how long ago the slowest did, and what a feed has matched in a day. "
            "Matches without a state are recorded by the service from a list of its own.",
            "Not read: the last good copy is in use and grows old; see the log for why. A feed that never matches: "
            "is it the right one?",
            "Neither TRUST_OTEL_REPUTATION_FEEDS nor TRUST_OTEL_GEOIP_DATABASE is set, and the service records no "
            "matches.",
            alerts=("TrustSourceUnreadable",),
            links={"Age of all sources": panel_url(MONITORING, 7)},
        ),
        {_SOURCE: "Source"},
        (
            Column(
                "State",
                f"min by ({_SOURCE}) ({file_name(series(TRUST_OTEL_SOURCE_UP, _LISTS), _SOURCE)})",
                "none",
                words=UP_OR_DOWN,
                width=80,
            ),
            Column(
                "Age",
                f"time() - min by ({_SOURCE}) ({file_name(series(TRUST_OTEL_SOURCE_LAST_READ, _LISTS), _SOURCE)})",
                "s",
                width=100,
            ),
            Column("Matches in a day", counted(of_feeds), "none", width=140),
        ),
        sort="Matches in a day",
        width=12,
    )
