"""The addresses that fail most, in bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv6Address, ip_address
from time import monotonic

from trust_otel.semconv.attributes import CLIENT_ADDRESS

_FORGET_SECONDS = 3600.0


class Offenders:
    """Counts failures by address; only addresses at or over the threshold are ever shown.

    At most `capacity` addresses are watched and as many shown. The address that has been quiet longest gives way among
    the watched; among the shown, one is forgotten after an hour without a failure.
    """

    def __init__(self, *, threshold: int, capacity: int, clock: Callable[[], float] = monotonic) -> None:
        self._threshold = threshold
        self._capacity = capacity
        self._clock = clock
        self._lock = threading.Lock()
        self._watched: OrderedDict[str, int] = OrderedDict()
        self._shown: dict[str, tuple[int, float]] = {}

    def add(self, address: str) -> bool:
        """Count a failure.

        Returns:
            Whether it was counted; it is not when as many offenders as the capacity are shown already.

        Raises:
            ValueError: The text is no IPv4 or IPv6 address.
        """
        canonical = _canonical(address)
        with self._lock:
            if canonical in self._shown:
                self._shown[canonical] = (self._shown[canonical][0] + 1, self._clock())
                return True
            failures = self._watched.pop(canonical, 0) + 1
            if failures < self._threshold:
                self._watched[canonical] = failures
                if len(self._watched) > self._capacity:
                    self._watched.popitem(last=False)
                return True
            if len(self._shown) >= self._capacity:
                return False
            self._shown[canonical] = (failures, self._clock())
            return True

    def rows(self) -> Iterable[tuple[float, Mapping[str, object]]]:
        """The failures of each offender, those forgotten left out."""
        with self._lock:
            oldest = self._clock() - _FORGET_SECONDS
            self._shown = {address: seen for address, seen in self._shown.items() if seen[1] >= oldest}
            return [(count, {CLIENT_ADDRESS.name: address}) for address, (count, _) in self._shown.items()]


def _canonical(address: str) -> str:
    """One text per client: an IPv4 address within IPv6 as itself, and no zone, which says nothing of the client."""
    if isinstance(address, (int, bytes)):
        raise ValueError("an address is a text")
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed)))
    return str(parsed)
