"""The detection rules: pattern, time window, threshold and severity of each, with the reasons.

A rule processes an event and returns the severity of an incident, or `None`. Clients, accounts and paths are hashes. A
sliding window consists of two buckets: the previous one and the current one, which is not over yet.
"""

from __future__ import annotations

from itertools import count
from typing import Final, NamedTuple, Protocol

from trust_otel.security.detectors.country_distance import distance_km, known_countries
from trust_otel.security.detectors.sliding_window import SlidingWindow

# An attack with 10,000 requests is one incident, repeated while it continues, so that an alert keeps firing. Events
# between two incidents are not counted. After two buckets without events, a client or account starts from zero.
REPEAT_SECONDS: Final = 300.0

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_NEVER: Final = float("-inf")

# Linear counting in a bitmap: two items may share a bit, so a count is never too high. Of 10 items, 9.8 are counted on
# average.
_BITS: Final = 256


class LoginAttempt(NamedTuple):
    """An authentication attempt for an account; other unknown values are `None`."""

    success: bool
    client: int | None
    account: int
    country: str | None


class AuthenticationRule(Protocol):
    """A rule that evaluates authentication attempts."""

    name: str

    def authentication(self, attempt: LoginAttempt, now: float) -> str | None:
        """The severity of the incident that this attempt triggers, or `None`."""


class CredentialStuffing:
    """Within 5 to 10 minutes, at least 10 accounts fail from one client, and at least as many as succeed from it.

    Credential stuffing fails for nearly every account, while users behind a shared office address who mistype a
    password soon succeed; accounts that succeed are not counted as failed. Also detects password spraying as commonly
    defined: one password, many accounts.
    """

    name = "credential_stuffing"
    bucket_seconds = 5 * _MINUTE
    threshold = 10
    severity = "critical"

    def __init__(self) -> None:
        self._clients = SlidingWindow(_DistinctCounter, seconds=self.bucket_seconds)

    def authentication(self, attempt: LoginAttempt, now: float) -> str | None:
        if attempt.client is None:
            return None
        failures = self._clients.get(attempt.client, now)
        if attempt.success:
            failures.exclude(attempt.account)
            return None
        # In a large office, many fail on the day when passwords expire, but more succeed.
        threshold = max(self.threshold, failures.excluded_count())
        return self.severity if failures.reaches(threshold, attempt.account, now) else None


class PasswordSpraying:
    """Within 30 to 60 minutes, one account fails from many clients and does not succeed from them.

    The owner of an account uses a few addresses (phone, office, home); a botnet has thousands. Clients that succeeded
    are not counted, such as machines that share an account whose password has changed. The number of different
    passwords is not known.
    """

    name = "password_spraying"
    bucket_seconds = 30 * _MINUTE
    threshold = 10
    severity = "warning"

    def __init__(self) -> None:
        self._accounts = SlidingWindow(_DistinctCounter, seconds=self.bucket_seconds)

    def authentication(self, attempt: LoginAttempt, now: float) -> str | None:
        if attempt.client is None:
            return None
        failures = self._accounts.get(attempt.account, now)
        if attempt.success:
            failures.exclude(attempt.client)
            return None
        return self.severity if failures.reaches(self.threshold, attempt.client, now) else None


class ImpossibleTravel:
    """An account succeeds from two countries within less time than a flight between them takes.

    Countries that the account reached in plausible time within the last day do not count: a traveller's phone may still
    use an address at home.
    """

    name = "impossible_travel"
    severity = "warning"
    # Once a day per account: a VPN with an exit abroad would otherwise cause an incident every hour.
    repeat_seconds = _DAY
    kilometres_per_second = 900 / _HOUR
    # The country of a mobile or provider address is too inaccurate for shorter distances.
    min_kilometres = 500
    # A client with impossible travel to or from more clients than this is a VPN exit.
    max_jump_clients = 2

    def __init__(self) -> None:
        self._accounts = SlidingWindow(_Locations, seconds=_DAY)
        self._jumps = SlidingWindow(_DistinctCounter, seconds=_DAY)

    def authentication(self, attempt: LoginAttempt, now: float) -> str | None:
        country = attempt.country
        if not attempt.success or country is None or country not in known_countries():
            return None
        locations = self._accounts.get(attempt.account, now)
        location = locations.by_country.get(country)
        jumps = self._jumps_to(country, locations, now) if location is None or location.suspicious else []
        locations.put(country, _Location(now, attempt.client, bool(jumps)))
        if not jumps or now - locations.reported < self.repeat_seconds:
            return None
        if all(self._is_vpn_exit(origin.client, attempt.client, now) for origin in jumps):
            return None
        locations.reported = now
        return self.severity

    def _jumps_to(self, country: str, locations: _Locations, now: float) -> list[_Location]:
        return [
            location
            for other, location in locations.by_country.items()
            if other != country and self._is_impossible(distance_km(country, other), now - location.last)
        ]

    def _is_impossible(self, kilometres: float, seconds: float) -> bool:
        return kilometres >= self.min_kilometres and seconds * self.kilometres_per_second < kilometres

    def _is_vpn_exit(self, origin: int | None, client: int | None, now: float) -> bool:
        if origin is None or client is None:
            return False
        clients = (self._jumps.get(client, now).count(origin), self._jumps.get(origin, now).count(client))
        return max(clients) > self.max_jump_clients


class PathScanning:
    """Within 1 to 2 minutes, one client requests many different paths that match no route.

    Crawlers follow dead links more slowly, and health checks of load balancers request the same missing path again.
    """

    name = "path_scanning"
    bucket_seconds = _MINUTE
    threshold = 30
    severity = "warning"

    def __init__(self) -> None:
        self._clients = SlidingWindow(_DistinctCounter, seconds=self.bucket_seconds)
        self._numbers = count()

    def not_found(self, client: int, path: int | None, now: float) -> str | None:
        """The severity of the incident that this request triggers, or `None`. An unknown path counts as a new one."""
        item = next(self._numbers) if path is None else path
        return self.severity if self._clients.get(client, now).reaches(self.threshold, item, now) else None


class MfaFatigue:
    """Within 5 to 10 minutes, the second factor of one account fails repeatedly; a success may follow.

    An attacker who knows the password repeats the challenge until the owner approves it. Fewer failures are mistyped
    codes. A success after the failures is more severe: the owner may have approved the attacker's challenge.
    """

    name = "mfa_fatigue"
    bucket_seconds = 5 * _MINUTE
    threshold = 5
    severity = "warning"
    success_severity = "critical"

    def __init__(self) -> None:
        self._accounts = SlidingWindow(_DistinctCounter, seconds=self.bucket_seconds)
        self._numbers = count()

    def second_factor(self, account: int, success: bool, now: float) -> str | None:
        """The severity of the incident that this challenge triggers, or `None`."""
        failures = self._accounts.get(account, now)
        if not success:
            return self.severity if failures.reaches(self.threshold, next(self._numbers), now) else None
        if now - failures.reported > 2 * self.bucket_seconds:
            return None
        failures.reported = _NEVER
        return self.success_severity


class _DistinctCounter:
    """Counts distinct items in the current and the previous bucket, such as failed accounts, without excluded ones."""

    __slots__ = ("excluded", "excluded_before", "items", "items_before", "reported")

    def __init__(self) -> None:
        self.items = self.items_before = self.excluded = self.excluded_before = 0
        self.reported = _NEVER

    def rotate(self) -> None:
        self.items_before, self.items = self.items, 0
        self.excluded_before, self.excluded = self.excluded, 0

    def exclude(self, item: int) -> None:
        """Do not count an item."""
        self.excluded |= 1 << item % _BITS

    def excluded_count(self) -> int:
        """Number of excluded items."""
        return (self.excluded | self.excluded_before).bit_count()

    def count(self, item: int) -> int:
        """Add an item and return the number of items."""
        self.items |= 1 << item % _BITS
        return ((self.items | self.items_before) & ~(self.excluded | self.excluded_before)).bit_count()

    def reaches(self, threshold: int, item: int, now: float) -> bool:
        """Add an item and return whether to report an incident. Items are not counted for a while afterwards."""
        if now - self.reported < REPEAT_SECONDS or self.count(item) < threshold:
            return False
        self.reported = now
        self.items = self.items_before = 0
        return True


class _Location(NamedTuple):
    last: float
    client: int | None
    suspicious: bool


class _Locations:
    """The last successful logins of an account, by country."""

    __slots__ = ("by_country", "reported")

    _MAX_COUNTRIES = 4

    def __init__(self) -> None:
        self.by_country: dict[str, _Location] = {}
        self.reported = _NEVER

    def rotate(self) -> None:
        """Do nothing: each location has its own time."""

    def put(self, country: str, location: _Location) -> None:
        """Store the location, and drop the oldest if there are too many."""
        self.by_country.pop(country, None)
        self.by_country[country] = location
        if len(self.by_country) > self._MAX_COUNTRIES:
            del self.by_country[next(iter(self.by_country))]
