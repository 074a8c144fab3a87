"""Geography of logins and attacks, and threat intelligence."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import geomap, table, timeseries

from monitoring.dashboards.panels import (
    UP_OR_DOWN,
    Column,
    PanelText,
    Query,
    country_map_panel,
    table_panel,
    time_series_panel,
)
from monitoring.dashboards.queries import increase, ratio, series, total, with_base_name, with_label
from monitoring.dashboards.security.constants import (
    ADDRESSES,
    FAILED,
    GEOGRAPHY,
    NO_FEEDS,
    THREATS,
    WITH_CREDENTIALS,
    whole_events,
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


_NO_COUNTRY: Final = "No logins in the selected time range, or TRUST_OTEL_GEOIP_DATABASE is not set."


def geographic_distribution() -> geomap.Panel:
    """Failed logins and threats on a map."""
    failed = f"({_attempts(FAILED)} or {_attempts()} * 0)"
    both = f"sum by ({_COUNTRY}) ({with_label(failed, 'kind', 'failed')} or {with_label(_threats(), 'kind', 'threat')})"
    return country_map_panel(
        PanelText(
            GEOGRAPHY,
            "Geographic distribution of authentication and threats",
            "Failed logins and requests from addresses on reputation feeds in the selected time range, by country "
            "of the address.",
            "A country without users of yours: attackers or a hosting provider. See the numbers in Authentication "
            "and threats by country.",
            _NO_COUNTRY,
            links={"Failed authentication by IP address": panel_url(SECURITY, ADDRESSES)},
        ),
        "none",
        Query("{{" + _COUNTRY + "}}", whole_events(both)),
        _COUNTRY,
        levels=Levels("green", ((1, "orange"),)),
        height=11,
    )


def authentication_by_country() -> table.Panel:
    """Logins, failed logins and threats by country."""
    tried = _attempts()
    everywhere = f"({tried} or {_threats()}) * 0"
    # A country that has only threats shows 0 logins if logins are recorded, and vice versa.
    no_logins = f"{everywhere} and on () {total(series(TRUST_AUTH_ATTEMPTS))}"
    feeds = (
        f"({total(series(TRUST_SECURITY_THREAT_MATCHES))} or {total(series(TRUST_OTEL_SOURCE_LAST_READ, _REPUTATION))})"
    )
    no_threats = f"{everywhere} and on () {feeds}"
    return table_panel(
        PanelText(
            29,
            "Authentication and threats by country",
            "Logins and requests from addresses on reputation feeds in the selected time range, by country of the "
            "address.",
            "Threats and successful logins from a country without users of yours: check the sessions of these "
            "accounts.",
            _NO_COUNTRY,
        ),
        {_COUNTRY: "Country"},
        (
            Column("Logins", whole_events(_attempts('trust_outcome="success"'), no_logins), "none", width=90),
            Column(
                "Failed",
                whole_events(_attempts(FAILED), no_logins),
                "none",
                levels=Levels("transparent", ((1, NEUTRAL),)),
                width=90,
            ),
            Column("Failure rate", ratio(_attempts(FAILED), tried), "percentunit", width=110),
            Column(
                "Threats",
                whole_events(_threats(), no_threats),
                "none",
                levels=Levels("transparent", ((1, "orange"),)),
                width=90,
            ),
        ),
        sort="Failed",
        width=12,
        height=11,
    )


def threat_matches() -> timeseries.Panel:
    """Requests from listed addresses, by feed."""
    matches = total(increase(TRUST_SECURITY_THREAT_MATCHES, over="5m"), _FEED)
    # A feed that was never read has no last read, and matches nothing.
    feeds = f'label_replace({series(TRUST_OTEL_SOURCE_LAST_READ, _REPUTATION)}, "{_FEED}", "$1", "{_SOURCE}", "(.+)")'
    return time_series_panel(
        PanelText(
            THREATS,
            "Threat intelligence and IP reputation",
            "Requests within 5 minutes from addresses on a reputation feed, by feed.",
            "Matches of a feed jump: an attack from known addresses, or a feed that lists too many addresses. "
            "Compare with failed logins of the same countries before blocking.",
            NO_FEEDS,
            links={
                "Failed authentication by IP address": panel_url(SECURITY, ADDRESSES),
                "Input sources": panel_url(MONITORING, 7),
            },
        ),
        "none",
        (
            Query(
                "{{" + _FEED + "}}",
                whole_events(matches, f"sum by ({_FEED}) ({feeds}) * 0"),
            ),
        ),
    )


def feeds_and_geoip() -> table.Panel:
    """State of the reputation feeds and the GeoIP database."""
    matches = total(increase(TRUST_SECURITY_THREAT_MATCHES, over="1d"), _FEED)
    by_source = f'label_replace({matches}, "{_SOURCE}", "$1", "{_FEED}", "(.+)")'
    of_feeds = f"sum by ({_SOURCE}) ({by_source})"
    return table_panel(
        PanelText(
            30,
            "Reputation feeds and GeoIP database",
            "Whether all instances can read the source, the longest time since it was read, and the matches of a "
            "feed within a day. A row without a state has matches that the service records from its own list.",
            "Down: the last good copy is in use; the service log has the reason. A feed without matches: check "
            "whether it is the right one.",
            "Neither TRUST_OTEL_REPUTATION_FEEDS nor TRUST_OTEL_GEOIP_DATABASE is set, and no service records matches.",
            alerts=("TrustSourceUnreadable",),
            links={"Input sources": panel_url(MONITORING, 7)},
        ),
        {_SOURCE: "Source"},
        (
            Column(
                "State",
                f"min by ({_SOURCE}) ({with_base_name(series(TRUST_OTEL_SOURCE_UP, _LISTS), _SOURCE)})",
                "none",
                texts=UP_OR_DOWN,
                width=80,
            ),
            Column(
                "Last read",
                f"time() - min by ({_SOURCE}) ({with_base_name(series(TRUST_OTEL_SOURCE_LAST_READ, _LISTS), _SOURCE)})",
                "s",
                width=100,
            ),
            Column("Matches (1 day)", whole_events(of_feeds), "none", width=140),
        ),
        sort="Matches (1 day)",
        width=12,
    )
