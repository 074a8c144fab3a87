"""The rules: what each looks for, over how long, from how much on, how bad that is, and why.

A rule is told what happened and returns the severity of an incident, or `None`. Clients, accounts and paths are numbers
to it, made by a hash. Its window is two slices of time, the second of which is still going on.
"""

from __future__ import annotations

from itertools import count
from typing import Final, NamedTuple, Protocol

from trust_otel.security.detectors.countries import countries, kilometres_apart
from trust_otel.security.detectors.sliding_window import Recent

# An attack of 10,000 requests is not 10,000 incidents, but one that goes on keeps an alert firing. In between nothing
# of it counts; who was quiet for two slices is somebody new.
REPEAT_SECONDS: Final = 300.0

_MINUTE: Final = 60.0
_HOUR: Final = 3600.0
_DAY: Final = 86_400.0
_NEVER: Final = float("-inf")

# Two things may share a bit, so that a count in a bitmap is never too high; of 10 things it is 9.8 on average.
_BITS: Final = 256


class Attempt(NamedTuple):
    """An attempt to authenticate."""

    success: bool
    client: int | None
    account: int | None
    country: str | None


class AuthenticationRule(Protocol):
    """Watches attempts to authenticate."""

    name: str

    def authentication(self, attempt: Attempt, now: float) -> str | None:
        """The severity of the incident that this attempt completes."""


class CredentialStuffing:
    """Within 5 to 10 minutes, many accounts fail from one client and do not succeed from it, and fewer do succeed.

    Who stuffs credentials fails with nearly every account. Of the people behind the one address of an office, those who
    mistype soon succeed. It sees as well what is elsewhere called password spraying: one password, many accounts.
    """

    name = "credential_stuffing"
    slice_seconds = 5 * _MINUTE
    threshold = 10
    severity = "critical"

    def __init__(self) -> None:
        self._clients = Recent(_Refusals, seconds=self.slice_seconds)

    def authentication(self, attempt: Attempt, now: float) -> str | None:
        if attempt.client is None or attempt.account is None:
            return None
        refusals = self._clients.get(attempt.client, now)
        if attempt.success:
            refusals.excuse(attempt.account)
            return None
        # In a large office on the day when passwords end, many fail at a time, but more succeed.
        threshold = max(self.threshold, refusals.excused_count())
        return self.severity if refusals.reach(threshold, attempt.account, now) else None


class PasswordSpraying:
    """Within half an hour to an hour, one account fails from many clients and does not succeed from them.

    The owner of an account has a phone, an office and a home; a botnet has thousands of addresses. Machines that share
    an account, and succeeded with it before its password changed, are no strangers to it. Whether one password is tried
    or many, it cannot tell.
    """

    name = "password_spraying"
    slice_seconds = 30 * _MINUTE
    threshold = 10
    severity = "warning"

    def __init__(self) -> None:
        self._accounts = Recent(_Refusals, seconds=self.slice_seconds)

    def authentication(self, attempt: Attempt, now: float) -> str | None:
        if attempt.client is None or attempt.account is None:
            return None
        refusals = self._accounts.get(attempt.account, now)
        if attempt.success:
            refusals.excuse(attempt.client)
            return None
        return self.severity if refusals.reach(self.threshold, attempt.client, now) else None


class ImpossibleTravel:
    """An account succeeds from two countries sooner than an airliner takes from the one to the other.

    A country where the account was in the last day, having come there in the time of a flight, is no surprise: a
    traveller's phone may still come from home.
    """

    name = "impossible_travel"
    severity = "warning"
    # For the owner of an account to be asked once; a network with an exit abroad would otherwise be told every hour.
    repeat_seconds = _DAY
    kilometres_per_second = 900 / _HOUR
    # Below, the address of a phone or a provider says too little about where somebody is.
    least_kilometres = 500
    # A client that accounts jump to or from, with more than these at the other end, is the exit of a private network.
    places_of_exit = 2

    def __init__(self) -> None:
        self._accounts = Recent(_Stays, seconds=_DAY)
        self._jumps = Recent(_Refusals, seconds=_DAY)

    def authentication(self, attempt: Attempt, now: float) -> str | None:
        country = attempt.country
        if not attempt.success or attempt.account is None or country is None or country not in countries():
            return None
        stays = self._accounts.get(attempt.account, now)
        stay = stays.by_country.get(country)
        jumps = self._jumps_to(country, stays, now) if stay is None or stay.suspect else []
        stays.put(country, _Stay(now, attempt.client, bool(jumps)))
        if not jumps or now - stays.reported < self.repeat_seconds:
            return None
        if all(self._through_exit(origin.client, attempt.client, now) for origin in jumps):
            return None
        stays.reported = now
        return self.severity

    def _jumps_to(self, country: str, stays: _Stays, now: float) -> list[_Stay]:
        return [
            stay
            for other, stay in stays.by_country.items()
            if other != country and self._impossible(kilometres_apart(country, other), now - stay.last)
        ]

    def _impossible(self, kilometres: float, seconds: float) -> bool:
        return kilometres >= self.least_kilometres and seconds * self.kilometres_per_second < kilometres

    def _through_exit(self, origin: int | None, client: int | None, now: float) -> bool:
        if origin is None or client is None:
            return False
        places = (self._jumps.get(client, now).count(origin), self._jumps.get(origin, now).count(client))
        return max(places) > self.places_of_exit


class PathScanning:
    """Within one to two minutes, one client asks for many different paths that no route has.

    A crawler follows dead links at the pace of its manners, and a probe of a load balancer asks for one missing path
    again and again; a scanner does neither.
    """

    name = "path_scanning"
    slice_seconds = _MINUTE
    threshold = 30
    severity = "warning"

    def __init__(self) -> None:
        self._clients = Recent(_Refusals, seconds=self.slice_seconds)
        self._numbers = count()

    def not_found(self, client: int, path: int | None, now: float) -> str | None:
        """The severity of the incident that this request completes; without a path it counts as a new one."""
        thing = next(self._numbers) if path is None else path
        return self.severity if self._clients.get(client, now).reach(self.threshold, thing, now) else None


class MfaFatigue:
    """Within 5 to 10 minutes, the second factor of one account is refused again and again, and then perhaps given.

    The password is known to somebody else, who hopes that the owner gives in. Fewer refusals are mistyped codes. The
    success that follows is worse: either the owner gave in, or he only came in between.
    """

    name = "mfa_fatigue"
    slice_seconds = 5 * _MINUTE
    threshold = 5
    severity = "warning"
    severity_of_success = "critical"

    def __init__(self) -> None:
        self._accounts = Recent(_Refusals, seconds=self.slice_seconds)
        self._numbers = count()

    def second_factor(self, account: int, success: bool, now: float) -> str | None:
        """The severity of the incident that this challenge completes."""
        refusals = self._accounts.get(account, now)
        if not success:
            return self.severity if refusals.reach(self.threshold, next(self._numbers), now) else None
        if now - refusals.reported > 2 * self.slice_seconds:
            return None
        refusals.reported = _NEVER
        return self.severity_of_success


class _Refusals:
    """Different things that were refused in this slice of time and the one before, without those to excuse."""

    __slots__ = ("before", "excused", "excused_before", "refused", "reported")

    def __init__(self) -> None:
        self.refused = self.before = self.excused = self.excused_before = 0
        self.reported = _NEVER

    def begin_slice(self) -> None:
        self.before, self.refused = self.refused, 0
        self.excused_before, self.excused = self.excused, 0

    def excuse(self, thing: int) -> None:
        """Do not count this thing."""
        self.excused |= 1 << thing % _BITS

    def excused_count(self) -> int:
        """How many things are excused."""
        return (self.excused | self.excused_before).bit_count()

    def count(self, thing: int) -> int:
        """Add a thing; how many there are now."""
        self.refused |= 1 << thing % _BITS
        return ((self.refused | self.before) & ~(self.excused | self.excused_before)).bit_count()

    def reach(self, threshold: int, thing: int, now: float) -> bool:
        """Add a thing; whether so many are an incident, after which nothing counts for a while."""
        if now - self.reported < REPEAT_SECONDS or self.count(thing) < threshold:
            return False
        self.reported = now
        self.refused = self.before = 0
        return True


class _Stay(NamedTuple):
    last: float
    client: int | None
    suspect: bool


class _Stays:
    """Where an account succeeded last, by country."""

    __slots__ = ("by_country", "reported")

    _MOST = 4

    def __init__(self) -> None:
        self.by_country: dict[str, _Stay] = {}
        self.reported = _NEVER

    def begin_slice(self) -> None:
        """Nothing: each stay has a time of its own."""

    def put(self, country: str, stay: _Stay) -> None:
        """Remember the latest stay, and forget the earliest when there are too many."""
        self.by_country.pop(country, None)
        self.by_country[country] = stay
        if len(self.by_country) > self._MOST:
            del self.by_country[next(iter(self.by_country))]
