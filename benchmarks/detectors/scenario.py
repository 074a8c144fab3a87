"""Generates the events of a day from `scenario.toml`, reproducibly."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from trust_otel.security.detectors.country_distance import distance_km, known_countries
from trust_otel.setting_lists import DETECTORS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

FILE: Final = Path(__file__).with_name("scenario.toml")

KINDS: Final = DETECTORS
"""Attacks have the names of their detectors."""

_DAY: Final = 86_400.0
_HOUR: Final = 3600.0
_MINUTE: Final = 60.0
_HOMES: Final = ("DE", "DE", "DE", "FR", "IT", "ES", "PL", "NL", "AT", "BE")
_NEIGHBOURS: Final = (("DE", "FR"), ("DE", "PL"), ("NL", "BE"), ("AT", "DE"), ("FR", "ES"))
_FAR: Final = ("US", "CN", "BR", "IN", "NG", "VN", "ZA", "JP", "AU", "ID")
_EXITS: Final = ("US", "GB", "SE", "CH", "NL", "SG", "CA", "JP", "IS", "RO")
_ICONS: Final = tuple(f"/apple-touch-icon-{size}.png" for size in range(12))

Range = list[float]


class Event(NamedTuple):
    """Input of a detector."""

    at: float
    call: str
    address: str
    account: str
    country: str
    success: bool
    path: str
    attack: str
    """Kind, strength and number of its attack, or empty."""


class _Client:
    """A person or machine: account, address and country."""

    def __init__(self, account: str, address: str, country: str, attack: str = "") -> None:
        self.account = account
        self.address = address
        self.country = country
        self.attack = attack

    def at(self, address: str, country: str | None = None) -> _Client:
        """The same client with another address."""
        return _Client(self.account, address, country or self.country, self.attack)

    def under(self, attack: str, address: str, country: str) -> _Client:
        """An attacker using this account."""
        return _Client(self.account, address, country, attack)

    def login(self, at: float, *, success: bool = True) -> Event:
        return Event(at, "authentication", self.address, self.account, self.country, success, "", self.attack)

    def code(self, at: float, *, success: bool = True) -> Event:
        return Event(at, "second_factor", self.address, self.account, self.country, success, "", self.attack)

    def missing(self, at: float, path: str) -> Event:
        return Event(at, "not_found", self.address, self.account, self.country, False, path, self.attack)


class Scenario:
    """The day described by a file.

    Args:
        share: Share of harmless clients to generate, for a quick run. All attacks are always generated.
        text: Content of the file.
    """

    def __init__(self, share: float = 1, text: str | None = None) -> None:
        self._plan: dict[str, Any] = tomllib.loads(FILE.read_text() if text is None else text)
        self._share = share
        self._addresses = 0
        self._attackers: dict[tuple[str, int], str] = {}
        self.clients = 0

    def events(self) -> list[Event]:
        """All events in order."""
        return sorted(event for event in chain(self._harmless(), self._attacks()) if 0 <= event.at < _DAY)

    # ------------------------------------------------------------------------------------------- harmless clients

    def _harmless(self) -> Iterator[Event]:
        for name in (
            "people",
            "offices",
            "stale_devices",
            "password_managers",
            "fleets",
            "travellers",
            "commuters",
            "company_vpns",
            "private_vpns",
            "travel_esims",
            "crawlers",
            "hasty_crawlers",
            "probes",
            "stale_pages",
        ):
            yield from getattr(self, f"_{name}")(self._plan[name], self._random(name))

    def _people(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        for number in range(self._count(plan["count"])):
            person = self._client(f"person-{number}", random, v6=random.random() < plan["with_ipv6"])
            phone = random.random() < plan["with_phone"]
            for visit in range(_whole(random, plan["logins"])):
                here = person.at(self._mobile(random)) if phone and visit % 2 else person
                yield from self._visit(here, _office_hours(random), random)

    def _visit(self, client: _Client, at: float, random: Random) -> Iterator[Event]:
        """A person's login, including mistakes."""
        people = self._plan["people"]
        if random.random() < people["missing_files"]:
            for path in random.sample(_ICONS, random.randint(1, 5)):
                yield client.missing(at, path)
        if random.random() < people["mistyped"]:
            for _ in range(random.randint(1, 3)):
                yield client.login(at, success=False)
                at += random.uniform(4, 30)
            if random.random() < people["gave_up"]:
                return
        yield client.login(at)
        if random.random() < people["with_second_factor"]:
            yield from self._second_factor(client, at + random.uniform(5, 20), random)

    def _second_factor(self, client: _Client, at: float, random: Random) -> Iterator[Event]:
        people = self._plan["people"]
        wrong, right = 0, True
        if random.random() < people["wrong_clock"]:
            wrong, right = random.randint(4, 8), random.random() < 0.5
        elif random.random() < people["mistyped_code"]:
            wrong = random.choice((1, 1, 1, 2, 2, 3))
        for _ in range(wrong):
            yield client.code(at, success=False)
            at += random.uniform(8, 40)
        if right:
            yield client.code(at)

    def _offices(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        expired = list(plan["expired"])
        for office, size in enumerate(plan["sizes"]):
            address, country = self._office_address(office), random.choice(_HOMES)
            ends = size in expired
            if ends:
                expired.remove(size)
            for number in range(self._count(size)):
                person = _Client(f"office-{office}-{number}", address, country)
                self.clients += 1
                begin = random.gauss(9 * _HOUR, 20 * _MINUTE)
                if ends and random.random() < plan["expired_mistyped"]:
                    for _ in range(random.randint(1, 3)):
                        yield person.login(begin, success=False)
                        begin += random.uniform(5, 60)
                    begin += random.uniform(_MINUTE, 8 * _MINUTE)
                yield from self._visit(person, begin, random)
                if random.random() < 0.5:
                    yield from self._visit(person, random.gauss(13 * _HOUR, 40 * _MINUTE), random)

    def _stale_devices(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        for number in range(self._count(plan["count"])):
            owner = self._client(f"stale-{number}", random)
            address, moves = owner.address, 0.0
            at = random.uniform(0, _HOUR)
            while at < _DAY:
                if at >= moves:
                    address, moves = (
                        self._mobile(random),
                        at + _MINUTE * _between(random, plan["minutes_at_an_address"]),
                    )
                yield owner.at(address).login(at, success=False)
                at += _MINUTE * _between(random, plan["minutes_between_tries"])
            yield from self._visit(owner, _office_hours(random), random)

    def _password_managers(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        for number in range(self._count(plan["count"])):
            client = self._client(f"manager-{number}", random)
            at = _office_hours(random)
            for _ in range(_whole(random, plan["tries"])):
                yield client.login(at, success=False)
                at += _between(random, plan["seconds_between_tries"])

    def _fleets(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        rotation, half_hour = 11 * _HOUR, 30 * _MINUTE
        for fleet, size in enumerate(plan["machines"]):
            regions = _HOMES[:1] if fleet != plan["worldwide"] else ("DE", "US", "SG")
            for _ in range(size):
                machine = self._client(f"fleet-{fleet}", random, random.choice(regions))
                at = random.uniform(0, plan["minutes_between_logins"] * _MINUTE)
                if fleet == plan["misconfigured"]:
                    at += 14 * _HOUR
                    yield machine.login(at, success=False)
                    at += 10 * _MINUTE
                while at < _DAY:
                    wrong = fleet == plan["rotated"] and rotation <= at < rotation + half_hour
                    yield machine.login(at, success=not wrong)
                    at += plan["minutes_between_logins"] * _MINUTE

    def _travellers(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        for number in range(self._count(plan["count"])):
            person = self._client(f"traveller-{number}", random)
            country = random.choice([code for code in _HOMES + _FAR if distance_km(person.country, code) > 300])
            leaves = random.uniform(5 * _HOUR, 14 * _HOUR)
            # 800 km per hour over more than the minimum distance, and an hour at each airport.
            lands = leaves + 2 * _HOUR + (distance_km(person.country, country) + 400) / 800 * _HOUR
            yield person.login(leaves)
            hotel = person.at(self._address(), country)
            for visit in range(4):
                yield hotel.login(lands + visit * 40 * _MINUTE)
            if random.random() < plan["with_roaming_phone"]:
                for visit in range(4):
                    yield person.at(self._mobile(random)).login(lands + visit * 40 * _MINUTE + 10 * _MINUTE)

    def _commuters(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        for number in range(self._count(plan["count"])):
            home, work = random.choice(_NEIGHBOURS)
            person = self._client(f"commuter-{number}", random, home)
            at_work = person.at(self._address(), work)
            for hour in (7, 12, 18):
                yield person.login(hour * _HOUR + random.uniform(0, _HOUR))
                yield at_work.login((hour + 1) * _HOUR + random.uniform(0, _HOUR))

    def _company_vpns(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        for company in range(plan["exits"]):
            address, country = self._address(), random.choice(_EXITS)
            for number in range(self._count(plan["employees"])):
                person = self._client(f"company-{company}-{number}", random)
                yield from self._switching(person, person.at(address, country), plan, random)

    def _private_vpns(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        exits = self._exits()
        shares = [1 / (rank + 1) for rank in range(len(exits))]
        for number in range(self._count(plan["count"])):
            person = self._client(f"private-{number}", random)
            address, country = random.choices(exits, shares)[0]
            yield from self._switching(person, person.at(address, country), plan, random)

    def _travel_esims(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        for number in range(self._count(plan["count"])):
            person = self._client(f"esim-{number}", random)
            away = person.at(self._mobile(random), random.choice(("PL", "GB", "IL", "HK", "SG")))
            yield from self._switching(person, away, plan, random)

    def _switching(self, home: _Client, away: _Client, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        places = (home, away) if random.random() < 0.7 else (away, home)
        at = random.uniform(7 * _HOUR, 10 * _HOUR)
        for _ in range(_whole(random, plan["switches"])):
            for place in places:
                yield place.login(at)
                yield place.login(at + random.uniform(5, 20) * _MINUTE)
                at += random.uniform(0.5, 2) * _HOUR

    def _crawlers(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        for number in range(self._count(plan["count"])):
            crawler = self._client(f"crawler-{number}", random)
            pace = _between(random, plan["links_per_minute"])
            at = random.uniform(0, 0.8 * _DAY)
            for link in range(_whole(random, plan["dead_links"])):
                yield crawler.missing(at, f"/old/{link}")
                at += random.expovariate(pace / _MINUTE)

    _hasty_crawlers = _crawlers

    def _probes(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        for number in range(self._count(plan["count"])):
            probe = self._client(f"probe-{number}", random)
            pause = _between(random, plan["seconds_between_requests"])
            for step in range(int(_DAY / pause)):
                yield probe.missing(step * pause, "/healthz")

    def _stale_pages(self, plan: dict[str, Any], random: Random) -> Iterator[Event]:
        for number in range(self._count(plan["count"])):
            page = self._client(f"page-{number}", random)
            at = _office_hours(random)
            for file in range(random.randint(1, 15)):
                yield page.missing(at, f"/assets/chunk-{file}.js")

    # ---------------------------------------------------------------------------------------------------- attacks

    def _attacks(self) -> Iterator[Event]:
        for kind in KINDS:
            for plan in self._plan[kind]:
                random = self._random(f"{kind}/{plan['name']}")
                for number in range(plan["count"]):
                    yield from getattr(self, f"_{kind}")(plan, f"{kind}/{plan['name']}/{number}", random)

    def _credential_stuffing(self, plan: dict[str, Any], attack: str, random: Random) -> Iterator[Event]:
        begin = random.uniform(0, _DAY - plan["minutes"] * _MINUTE)
        if plan["addresses"] == 0:
            begin = random.uniform(10 * _HOUR, 15 * _HOUR)
        for step in range(int(plan["tries_per_minute"] * plan["minutes"])):
            address = self._stuffing_address(plan["addresses"], attack, step)
            stolen = _Client(f"stolen-{attack}-{step}", address, "US", attack)
            at = begin + (step + random.random()) / plan["tries_per_minute"] * _MINUTE
            if plan["valid"] >= 0.5:  # the attacker's own account, every second time
                own = _Client(f"own-{attack}", address, "US", attack)
                yield own.login(at) if step % 2 else stolen.login(at, success=False)
            else:
                yield stolen.login(at, success=random.random() < plan["valid"])

    def _stuffing_address(self, addresses: int, attack: str, step: int) -> str:
        if addresses == 0:
            return self._office_address(2 + int(attack.rpartition("/")[2]) % 2)
        if addresses == -1:
            return self._attacker_address(attack, 0, v6=True).removesuffix("1") + f"{step + 1:x}"
        return self._attacker_address(attack, step % addresses)

    def _password_spraying(self, plan: dict[str, Any], attack: str, random: Random) -> Iterator[Event]:
        begin = random.uniform(0, _DAY - plan["minutes"] * _MINUTE)
        victim = self._client(f"victim-{attack}", random)
        yield from self._visit(victim, _office_hours(random), random)
        for step in range(int(plan["tries_per_minute"] * plan["minutes"])):
            at = begin + (step + random.random()) / plan["tries_per_minute"] * _MINUTE
            address = self._attacker_address(attack, step % plan["addresses"])
            yield victim.under(attack, address, "US").login(at, success=False)

    def _impossible_travel(self, plan: dict[str, Any], attack: str, random: Random) -> Iterator[Event]:
        for _ in range(plan.get("accounts", 1)):
            victim = self._client(f"victim-{attack}-{random.random()}", random)
            address, country = self._attacker_place(plan["place"], victim, attack, random)
            at = random.uniform(8 * _HOUR, 10 * _HOUR)
            yield victim.login(at)
            at += _between(random, plan["minutes_between"]) * _MINUTE
            for step in range(plan["logins"]):
                yield victim.under(attack, address, country).login(at + step * _MINUTE / 2)

    def _attacker_place(self, place: str | Range, victim: _Client, attack: str, random: Random) -> tuple[str, str]:
        if place == "private VPN":
            return self._exits()[0]
        address = self._attacker_address(attack, 0)
        if place == "home":
            return address, victim.country
        others = [code for code in known_countries() if code != victim.country]
        least, most = (float(limit) for limit in place)
        return address, random.choice([code for code in others if least <= distance_km(victim.country, code) <= most])

    def _path_scanning(self, plan: dict[str, Any], attack: str, random: Random) -> Iterator[Event]:
        begin = random.uniform(0, _DAY - plan["paths"] / plan["paths_per_minute"] * _MINUTE)
        for step in range(plan["paths"]):
            scanner = _Client("", self._attacker_address(attack, step % plan["addresses"]), "US", attack)
            yield scanner.missing(begin + step / plan["paths_per_minute"] * _MINUTE, f"/{attack}/{step}")

    def _mfa_fatigue(self, plan: dict[str, Any], attack: str, random: Random) -> Iterator[Event]:
        victim = self._client(f"victim-{attack}", random)
        attacker = victim.under(attack, self._attacker_address(attack, 0), "US")
        at = random.uniform(0, _DAY - plan["refusals"] * plan["seconds_between"] * 1.3 - _HOUR)
        for _ in range(plan["refusals"]):
            yield attacker.code(at, success=False)
            at += plan["seconds_between"] * random.uniform(0.7, 1.3)
        if plan["gives_in"]:
            yield attacker.code(at)

    # --------------------------------------------------------------------------------------------------- addresses

    def _client(self, account: str, random: Random, country: str | None = None, *, v6: bool = False) -> _Client:
        self.clients += 1
        return _Client(account, self._address(v6=v6), country or random.choice(_HOMES))

    def _address(self, *, v6: bool = False) -> str:
        self._addresses += 1
        number = self._addresses
        return f"2001:db8:{number:x}::1" if v6 else f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"

    def _attacker_address(self, attack: str, number: int, *, v6: bool = False) -> str:
        if (attack, number) not in self._attackers:
            self._attackers[attack, number] = self._address(v6=v6)
        return self._attackers[attack, number]

    def _office_address(self, office: int) -> str:
        return f"192.0.2.{office + 1}"

    def _exits(self) -> list[tuple[str, str]]:
        """Address and country of private VPN exits."""
        random = self._random("exits")
        count = self._plan["private_vpns"]["exits"]
        return [(f"203.0.113.{number}", random.choice(_EXITS)) for number in range(1, count + 1)]

    def _mobile(self, random: Random) -> str:
        number = random.randrange(self._plan["mobile_providers"]["addresses"])
        return f"100.64.{number >> 8}.{number & 255}"

    def _count(self, number: int) -> int:
        return max(1, round(number * self._share))

    def _random(self, name: str) -> Random:
        # One per part, so that a change of one part does not affect the others.
        return Random(f"{self._plan['seed']}/{name}")  # noqa: S311 - no secret


def _between(random: Random, limits: Range) -> float:
    return random.uniform(*limits)


def _whole(random: Random, limits: Range) -> int:
    return random.randint(int(limits[0]), int(limits[1]))


def _office_hours(random: Random) -> float:
    return min(max(random.gauss(12.5 * _HOUR, 3 * _HOUR), 0), _DAY - 1)
