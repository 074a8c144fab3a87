"""`python -m benchmarks.lookups`: cost of address lookups, and of loading a threat feed with a million networks.

Lookup times are the minimum of several rounds, which is least affected by other load. For comparison there are a linear
search with `ipaddress`, and `pytricia` if it is installed.
"""

from __future__ import annotations

import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from random import Random
from time import perf_counter, process_time, sleep
from typing import Any, Final

from mmdb_writer import MMDBWriter
from netaddr import IPSet
from rich.console import Console
from rich.table import Table

from trust_otel.security.client_address import AddressForm, TrustedProxies, canonical
from trust_otel.security.geo import Countries
from trust_otel.security.reputation import Feeds
from trust_otel.setting_lists import networks

_SEED: Final = 7
_NETWORKS: Final = 1_000_000
_ADDRESSES: Final = 2_000
_ROUNDS: Final = 9
_TICK: Final = 0.001


def main() -> None:
    """Measure and print."""
    random = Random(_SEED)  # noqa: S311 - no secret
    with tempfile.TemporaryDirectory() as folder:
        lookups = Table("lookup", "µs", title="Lookups")
        for title, microseconds in (
            *_addresses(random),
            *_proxies(),
            *_countries(Path(folder) / "countries.mmdb", random),
        ):
            lookups.add_row(title, f"{microseconds:.2f}")
        feeds = Table("feed with a million networks", "IPv4", "IPv6", title="Reputation")
        columns = [_feed(Path(folder) / kind.__name__, kind, random) for kind in (IPv4Address, IPv6Address)]
        for title in columns[0]:
            feeds.add_row(title, *(column[title] for column in columns))
    console = Console(width=120)
    console.print(lookups, feeds)


def _microseconds(function: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    least = float("inf")
    for _ in range(_ROUNDS):
        begin = perf_counter()
        for argument in arguments:
            function(argument)
        least = min(least, perf_counter() - begin)
    return least / len(arguments) * 1e6


def _addresses(random: Random) -> Iterable[tuple[str, float]]:
    ipv4 = [str(IPv4Address(random.getrandbits(32))) for _ in range(_ADDRESSES)]
    ipv6 = [str(IPv6Address(random.getrandbits(128))) for _ in range(_ADDRESSES)]
    for kind, addresses in (("IPv4", ipv4), ("IPv6", ipv6), ("IPv4 in IPv6", [f"::ffff:{text}" for text in ipv4])):
        yield f"canonical, {kind}", _microseconds(canonical, addresses)
        yield f"str(ip_address()), {kind}", _microseconds(lambda text: str(ip_address(text)), addresses)
    for form in ("full", "truncated", "hashed", "off"):
        yield f"AddressForm, {form}, IPv4", _microseconds(AddressForm(form).shown, ipv4)


def _proxies() -> Iterable[tuple[str, float]]:
    others = [(f"x-header-{number}".encode(), b"value") for number in range(12)]
    hops = b"198.51.100.1, 203.0.113.7, 10.0.0.2"
    headers = {
        "X-Forwarded-For of 3": [*others, (b"x-forwarded-for", hops)],
        "Forwarded of 3": [
            *others,
            (b"forwarded", b'for=198.51.100.1, for="[2001:db8::7]:4711";proto=https, for=10.0.0.2;by=10.0.0.1'),
        ],
        "X-Forwarded-For of 1 MB": [*others, (b"x-forwarded-for", b"10.0.0.9," * 111_111 + hops)],
    }
    for title, trusted in (("none trusted", TrustedProxies(())), ("trusted", TrustedProxies(networks("10.0.0.0/8")))):
        for which, lines in headers.items():
            client = partial(trusted.client, headers=lines)
            yield f"TrustedProxies.client, {title}, {which}", _microseconds(client, ["10.0.0.1"] * 100)


def _countries(path: Path, random: Random) -> Iterable[tuple[str, float]]:
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="Benchmark-Country")
    names = {language: f"Country in {language}" for language in ("de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN")}
    records = [
        {
            part: {"iso_code": first + second, "geoname_id": 1, "names": names}
            for part in ("country", "registered_country")
        }
        for first in "ABCDEFGHIJ"
        for second in "ABCDEFGHIJ"
    ]
    places = [random.randrange(1 << 16, 224 << 16) for _ in range(20_000)]
    for place in places:
        writer.insert_network(IPSet([f"{IPv4Address(place << 8)}/24"]), random.choice(records))
    writer.to_db_file(str(path))
    countries = Countries(str(path))
    begin = perf_counter()
    countries.read_if_changed()
    size = path.stat().st_size / 2**20
    yield f"Countries.read_if_changed, {size:.1f} MiB", (perf_counter() - begin) * 1e6
    hits = [str(IPv4Address((place << 8) + 9)) for place in places[:_ADDRESSES]]
    yield "Countries.country, known", _microseconds(countries.country, hits)
    yield "Countries.country, unknown", _microseconds(countries.country, ["240.0.0.1"] * 100)


def _feed(path: Path, kind: type[IPv4Address] | type[IPv6Address], random: Random) -> dict[str, str]:
    bits, lengths = (32, (24, 28, 32, 32, 32)) if kind is IPv4Address else (128, (48, 64, 128, 128))
    begin = (1 << 24, 224 << 24) if kind is IPv4Address else (0x2001 << 112, 0x3000 << 112)
    numbers = [random.randrange(*begin) for _ in range(_NETWORKS)]
    texts = [f"{kind(number)}/{random.choice(lengths)}" for number in numbers]
    path.write_text("".join(f"{text}\n" for text in texts))
    hits = [str(kind(number)) for number in numbers[:_ADDRESSES]]
    misses = [str(kind(random.getrandbits(bits))) for _ in range(_ADDRESSES)]
    row = _comparison(texts, hits)
    row["linear search with ipaddress, µs (extrapolated)"] = f"{_linear(texts[: _NETWORKS // 100], misses) * 100:.0f}"
    del numbers, texts

    feeds = Feeds([("feed", str(path))])
    row |= _load(feeds)
    row["networks"] = str(feeds.sizes()["feed"])
    row["lookup, listed, µs"] = f"{_microseconds(feeds.matches, hits):.2f}"
    row["lookup, not listed, µs"] = f"{_microseconds(feeds.matches, misses):.2f}"
    tracemalloc.start()
    again = Feeds([("feed", str(path))])
    again.read_if_changed()
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    row["memory, MiB"] = f"{kept / 2**20:.1f}"
    row["peak memory during the load, MiB"] = f"{most / 2**20:.1f}"
    return row


def _linear(texts: list[str], misses: list[str]) -> float:
    parsed = [ip_network(text, strict=False) for text in texts]

    def found(text: str) -> bool:
        address = ip_address(text)
        return any(address in network for network in parsed)

    return _microseconds(found, misses[:2])


def _comparison(texts: list[str], hits: list[str]) -> dict[str, str]:
    try:
        from pytricia import PyTricia  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return {"pytricia, listed, µs": "not installed"}
    tree = PyTricia(32 if ":" not in texts[0] else 128)
    for text in texts:
        tree[str(ip_network(text, strict=False))] = True
    return {"pytricia, listed, µs": f"{_microseconds(tree.__contains__, hits):.2f}"}


def _load(feeds: Feeds) -> dict[str, str]:
    """Load the feed, and measure the delay of a thread that wakes up every millisecond meanwhile."""
    delays: list[float] = []
    stopped = threading.Event()

    def wake_up() -> None:
        while not stopped.is_set():
            begin = perf_counter()
            sleep(_TICK)
            delays.append(perf_counter() - begin - _TICK)

    thread = threading.Thread(target=wake_up)
    thread.start()
    sleep(1)
    idle, delays[:] = sorted(delays), []
    begin, busy = perf_counter(), process_time()
    feeds.read_if_changed()
    seconds, busy = perf_counter() - begin, process_time() - busy
    stopped.set()
    thread.join()
    return {
        "load, s": f"{seconds:.1f}",
        "load, CPU s": f"{busy:.1f}",
        "delay of a thread, idle, ms (p50, p90, p99)": _quantiles(idle),
        "delay of a thread, during the load, ms": _quantiles(sorted(delays)),
    }


def _quantiles(ordered: Sequence[float]) -> str:
    return ", ".join(f"{ordered[int(len(ordered) * share)] * 1000:.2f}" for share in (0.5, 0.9, 0.99))


if __name__ == "__main__":
    main()
