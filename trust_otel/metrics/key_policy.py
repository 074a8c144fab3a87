"""Policies for the use of keys: when, and how often.

    [key.issuing-ca]                            # the name for `record_key_use`
    label = "Issuing CA 1"                      # the label of a PKCS#11 key, if it is not the name
    hours = "08:00-18:00"                       # the end is excluded; "22:00-06:00" goes past midnight
    weekdays = ["mon", "tue", "wed", "thu", "fri"]
    timezone = "Europe/Berlin"                  # of hours and weekdays; UTC by default
    max_uses_per_hour = 100                     # of one process, within the last hour

At least one of `hours`, `weekdays` and `max_uses_per_hour` is needed.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from trust_otel import forks
from trust_otel.privacy.pii import looks_private
from trust_otel.semconv.attributes import TRUST_KEY_NAME
from trust_otel.toml_file import declarations, meant, shown

_KEYS: Final = ("label", "hours", "weekdays", "timezone", "max_uses_per_hour")
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]|24(?=:00)):([0-5]\d)")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_DAY_MINUTES: Final = 24 * 60
_HOUR_MINUTES: Final = 60
_LARGEST: Final = 10**9


@dataclass(frozen=True)
class KeyPolicy:
    """The policy of a key.

    Attributes:
        name: Value of `trust.key.name`.
        label: Label (CKA_LABEL) of the key, if it is a PKCS#11 key.
        zone: Time zone of hours and weekdays.
        begin: First minute of the day in which it may be used.
        end: Minute before which its use ends; before `begin` or at it, on the next day.
        weekdays: Days on which these hours begin; Monday is 0.
        max_uses_per_hour: Maximum number of uses in an hour; `None` for any.
    """

    name: str
    label: str
    zone: tzinfo
    begin: int = 0
    end: int = _DAY_MINUTES
    weekdays: frozenset[int] = frozenset(range(7))
    max_uses_per_hour: int | None = None
    _rate: _Rate = field(default_factory=lambda: _Rate(), repr=False, compare=False)

    def use_at(self, now: float) -> str:
        """Value of `trust.key.use` for a use of the key.

        Args:
            now: Unix time in seconds.
        """
        over_rate = self.max_uses_per_hour is not None and self._rate.uses(now) > self.max_uses_per_hour
        if not self._is_within_hours(datetime.fromtimestamp(now, self.zone)):
            return "outside_hours"
        return "over_rate" if over_rate else "allowed"

    def _is_within_hours(self, local: datetime) -> bool:
        minute, weekday = local.hour * 60 + local.minute, local.weekday()
        if self.begin < self.end:
            return self.begin <= minute < self.end and weekday in self.weekdays
        if minute >= self.begin:
            return weekday in self.weekdays
        return minute < self.end and (weekday - 1) % 7 in self.weekdays


class _Rate:
    """Counts the uses of the last hour, by minute."""

    def __init__(self) -> None:
        self._lock = forks.released_in_child(threading.Lock())
        self._minutes: deque[list[int]] = deque()
        self._sum = 0

    def uses(self, now: float) -> int:
        """Add a use; returns how many there were in this minute and the 59 before it."""
        minute = int(now // 60)
        with self._lock:
            while self._minutes and self._minutes[0][0] <= minute - _HOUR_MINUTES:
                self._sum -= self._minutes.popleft()[1]
            # Also after the clock was set back.
            if not self._minutes or self._minutes[-1][0] < minute:
                self._minutes.append([minute, 0])
            self._minutes[-1][1] += 1
            self._sum += 1
            return self._sum


def read_key_policies(path: str | Path) -> tuple[KeyPolicy, ...]:
    """Read the policies of a TOML file.

    Raises:
        OSError: The file cannot be read.
        ValueError: The content is invalid; the message names each problem and a fix.
    """
    tables = declarations(
        path, "key", "key", limit=TRUST_KEY_NAME.limit, setting="TRUST_OTEL_KEY_POLICY_FILE", problems=_problems
    )
    return tuple(_policy(name, table) for name, table in tables.items())


def _problems(name: str, table: object) -> Iterator[str]:
    if not _NAME.fullmatch(name) or looks_private(name):
        yield (
            "take a name of letters, digits, `_`, `.` and `-` that is not anybody's data, and set label if the key has "
            "another one"
        )
    if not isinstance(table, dict):
        yield f"{shown(table)} is not a table; write [key.NAME] and its keys below"
        return
    for key in table:
        if key not in _KEYS:
            yield f"there is no key {shown(key)}{meant(key, _KEYS)}; the keys are {', '.join(_KEYS)}"
    label = table.get("label", name)
    if not isinstance(label, str) or not label:
        yield f"label = {shown(label)} is not usable; set the label of the key in the HSM"
    if table.keys().isdisjoint(("hours", "weekdays", "max_uses_per_hour")):
        yield "every use would be allowed; set hours, weekdays or max_uses_per_hour"
    yield from _hours_problems(table)
    yield from _weekdays_problems(table.get("weekdays", ["mon"]))
    yield from _zone_problems(table.get("timezone", "UTC"))
    most = table.get("max_uses_per_hour", 0)
    if not isinstance(most, int) or isinstance(most, bool) or not 0 <= most <= _LARGEST:
        yield f"max_uses_per_hour = {shown(most)} is not usable; set a whole number of 0 or more"


def _hours_problems(table: Mapping[str, object]) -> Iterator[str]:
    hours = table.get("hours", "00:00-24:00")
    found = _HOURS.fullmatch(hours) if isinstance(hours, str) else None
    if found is None or found[1] + found[2] == found[3] + found[4]:
        yield f'hours = {shown(hours)} is not usable; write them as "08:00-18:00"'


def _weekdays_problems(weekdays: object) -> Iterator[str]:
    if not isinstance(weekdays, list) or not weekdays:
        yield f'weekdays = {shown(weekdays)} is not usable; write a list, as ["mon", "tue"]'
        return
    for each in weekdays:
        if each not in _WEEKDAYS:
            yield f"there is no weekday {shown(each)}{meant(each, _WEEKDAYS)}; take some of {', '.join(_WEEKDAYS)}"


def _zone_problems(name: object) -> Iterator[str]:
    try:
        ZoneInfo(name)  # type: ignore[arg-type]
    except Exception:  # of several classes, by what is wrong with the name
        yield (
            f"timezone = {shown(name)} is unknown here; take a name such as Europe/Berlin, and install tzdata if the "
            "system has no time zones"
        )


def _policy(name: str, table: Mapping[str, Any]) -> KeyPolicy:
    found = _HOURS.fullmatch(table.get("hours", "00:00-24:00"))
    begin_hour, begin_minute, end_hour, end_minute = map(int, found.groups()) if found else (0, 0, 24, 0)
    return KeyPolicy(
        name=name,
        label=table.get("label", name),
        zone=ZoneInfo(table.get("timezone", "UTC")),
        begin=begin_hour * 60 + begin_minute,
        end=end_hour * 60 + end_minute,
        weekdays=frozenset(map(_WEEKDAYS.index, table.get("weekdays", _WEEKDAYS))),
        max_uses_per_hour=table.get("max_uses_per_hour"),
    )
