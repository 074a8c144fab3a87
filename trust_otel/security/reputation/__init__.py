"""Reputation feeds: lists of bad addresses in files, which somebody else keeps up to date."""

from __future__ import annotations

from collections.abc import Iterable

from trust_otel.security.client_address import packed
from trust_otel.security.reputation.feed import MOST_BYTES, MOST_NETWORKS, Feed, Pace

__all__ = ["MOST_BYTES", "MOST_NETWORKS", "Feeds"]


class Feeds:
    """Tells which feeds list an address.

    What a feed may be, told by its content and not by its name:

    - one address or network a line, with comments after `#` or `;` and anything after the address;
    - CSV, with a header that names the column (`ip`, `address`, `cidr`, `network`, `src_ip`, `indicator` and the like)
      or without one: then the first column that holds an address;
    - a STIX 2.1 bundle: `ipv4-addr` and `ipv6-addr` objects, and indicators whose pattern is a list of alternatives, as
      far as `valid_from`, `valid_until` and `revoked` let them hold;
    - lines of JSON objects with a `cidr`.

    A feed is broken when more than a quarter of its entries are none, when a network in it is larger than a /8 of IPv4
    or a /16 of IPv6, when it is empty although it was not, or when it has more than `MOST_NETWORKS` entries or
    `MOST_BYTES` bytes. Then the last good copy stays.

    Args:
        paths: Name and path of each feed. Nothing is read before `read_if_changed`.
    """

    def __init__(self, paths: Iterable[tuple[str, str]]) -> None:
        self._pace = Pace()
        self._feeds = tuple(Feed(name, path, self._pace) for name, path in paths)

    def read_if_changed(self) -> list[tuple[str, str | None]]:
        """Read the feeds whose files have changed; only one thread may.

        Returns:
            Name and problem of each feed, changed or not; `None` where all is well.
        """
        return [(feed.name, feed.read_if_changed()) for feed in self._feeds]

    def matches(self, address: str) -> tuple[str, ...]:
        """Names of the feeds that list an address; none for what is no address."""
        found: tuple[str, ...] = ()
        try:
            number = packed(address)
        except ValueError:
            return found
        for feed in self._feeds:
            if number in feed.networks:
                found += (feed.name,)
        return found

    def sizes(self) -> dict[str, int]:
        """Entries of each feed that are in use."""
        return {feed.name: feed.entries for feed in self._feeds}

    def close(self) -> None:
        """End the reading that is under way, and let go of all feeds for good."""
        self._pace.ended = True
        for feed in self._feeds:
            feed.close()
