"""Reputation feeds: files with lists of malicious addresses, updated by another program."""

from __future__ import annotations

from collections.abc import Iterable

from trust_otel.security.client_address import packed
from trust_otel.security.reputation.feed import MAX_BYTES, MAX_NETWORKS, Feed, Throttle

__all__ = ["MAX_BYTES", "MAX_NETWORKS", "Feeds"]


class Feeds:
    """Looks up which feeds list an address.

    The format of a feed is detected from its content:

    - one address or network per line, with comments after `#` or `;`; text after the address is ignored;
    - CSV, with a header that names the column (`ip`, `address`, `cidr`, `network`, `src_ip`, `indicator` and others)
      or without one: then the first column that contains an address;
    - a STIX 2.1 bundle: `ipv4-addr` and `ipv6-addr` objects, and indicators whose pattern is a list of alternatives, if
      they are valid now (`valid_from`, `valid_until`, `revoked`);
    - JSON lines: objects with a `cidr`.

    A feed is rejected if more than a quarter of its entries are invalid, if it contains an IPv4 network larger than /8
    or an IPv6 network larger than /16, if it is empty and was not empty before, or if it has more than `MAX_NETWORKS`
    entries or `MAX_BYTES` bytes. The last valid content then stays in use.

    Args:
        paths: Name and path of each feed. Nothing is read before the first `read_if_changed`.
    """

    def __init__(self, paths: Iterable[tuple[str, str]]) -> None:
        self._throttle = Throttle()
        self._feeds = tuple(Feed(name, path, self._throttle) for name, path in paths)

    def read_if_changed(self) -> list[tuple[str, str | None]]:
        """Read the feeds whose files have changed. Must not be called by two threads at once.

        Returns:
            Name and problem of each feed, changed or not; `None` if there is no problem.
        """
        return [(feed.name, feed.read_if_changed()) for feed in self._feeds]

    def matches(self, address: str) -> tuple[str, ...]:
        """Names of the feeds that list an address; empty if it is not a valid address."""
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
        """Number of entries in use of each feed."""
        return {feed.name: feed.entries for feed in self._feeds}

    def close(self) -> None:
        """Stop a running read and release all feeds."""
        self._throttle.stopped = True
        for feed in self._feeds:
            feed.close()
