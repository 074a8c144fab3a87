"""Reputation feeds: formats, lookups, and rejected files."""

from __future__ import annotations

import gzip
import ipaddress
import itertools
import json
import logging
import os
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from trust_otel.security import reputation
from trust_otel.security.reputation import Feeds, feed
from trust_otel.setting_lists import Network

LISTED = "203.0.113.7"
OTHER = "198.51.100.1"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a feed, by default with a modification time one minute ago."""

    def write(content: str | bytes, *, age: float = 60) -> Path:
        path = tmp_path / "feed"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, (time.time() - age,) * 2)
        return path

    return write


def _feeds(path: Path) -> Feeds:
    return Feeds([("blocklist", str(path))])


def _problem(feeds: Feeds) -> str | None:
    ((name, problem),) = feeds.read_if_changed()
    assert name == "blocklist"
    return problem


def _read(path: Path) -> Feeds:
    feeds = _feeds(path)
    assert _problem(feeds) is None
    return feeds


def _listed(feeds: Feeds, addresses: Iterable[str]) -> list[str]:
    return [address for address in addresses if feeds.matches(address)]


class TestMatches:
    def test_every_feed_that_lists_the_address(self, tmp_path: Path) -> None:
        contents = {"one": "203.0.113.0/24\n", "two": "203.0.113.7\n", "three": "2001:db8::/32\n"}
        for name, content in contents.items():
            (tmp_path / name).write_text(content)
        feeds = Feeds([(name, str(tmp_path / name)) for name in contents])
        assert feeds.matches(LISTED) == ()
        assert feeds.sizes() == {"one": 0, "two": 0, "three": 0}
        assert feeds.read_if_changed() == [("one", None), ("two", None), ("three", None)]
        assert feeds.matches(LISTED) == ("one", "two")
        assert feeds.matches("203.0.113.8") == ("one",)
        assert feeds.matches("2001:db8::1") == ("three",)
        assert feeds.matches(OTHER) == ()
        assert feeds.sizes() == {"one": 1, "two": 1, "three": 1}

    @pytest.mark.parametrize("address", ["", "localhost", "203.0.113.7:80", "203.0.113.0/24", "\0", "1" * 100_000])
    def test_invalid_address_has_no_match(self, write: Write, address: str) -> None:
        assert _read(write("203.0.113.0/24\n")).matches(address) == ()

    def test_ipv4_mapped_addresses_match_as_ipv4(self, write: Write) -> None:
        feeds = _read(write("::ffff:203.0.113.0/120\n::ffff:c000:201\n192.0.2.2\n"))
        inside = [LISTED, "192.0.2.1", "::ffff:192.0.2.2", "::ffff:203.0.113.255"]
        assert _listed(feeds, [*inside, "203.0.114.0", "192.0.2.3", "::203.0.113.7"]) == inside

    def test_bounds_of_networks(self, write: Write) -> None:
        feeds = _read(write("192.0.2.64/26\n198.51.100.9\n2001:db8:0:1::/64\n2001:db8:0:3::5\n255.255.255.255\n"))
        inside = ["192.0.2.64", "192.0.2.127", "198.51.100.9", "255.255.255.255"]
        inside += ["2001:db8:0:1::", "2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:3::5"]
        outside = ["0.0.0.0", "192.0.2.63", "192.0.2.128", "198.51.100.8", "198.51.100.10", "255.255.255.254"]
        outside += ["::", "2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8:0:2::", "2001:db8:0:3::4", "2001:db8:0:3::6"]
        assert _listed(feeds, inside + outside) == inside

    def test_ipv6_networks_with_the_same_upper_half(self, write: Write) -> None:
        inside = [f"2001:db8::{number:x}" for number in range(1, 40, 4)]
        outside = [f"2001:db8::{number:x}" for number in range(3, 44, 4)]
        feeds = _read(write("\n".join(["2001:db8:0:1::1", *inside, "2001:db7:ffff:ffff::/64"])))
        assert _listed(feeds, [*inside, *outside, "2001:db8::"]) == inside

    @pytest.mark.parametrize("seed", range(8))
    def test_equals_a_linear_search(self, write: Write, seed: int) -> None:
        random = Random(seed)
        networks = [_network(random) for _ in range(random.choice((1, 3, 300)))]
        feeds = _read(write("".join(f"{network}\n" for network in random.sample(networks, len(networks)))))
        addresses = [address for network in networks for address in _around(network, random)]
        for address in random.sample(addresses, min(len(addresses), 400)):
            assert bool(feeds.matches(str(address))) == any(address in network for network in networks), address


def _network(random: Random) -> Network:
    """A network from a small range, so that many overlap, are adjacent, or share the upper half of the address."""
    if random.random() < 0.5:
        number = (random.choice((10, 203)) << 24) + random.getrandbits(random.choice((4, 8, 16)))
        return ipaddress.ip_network((number, random.randrange(20, 33)), strict=False)
    number = (0x20010DB8 << 96) + (random.getrandbits(2) << 64) + random.getrandbits(random.choice((4, 8, 64, 66)))
    return ipaddress.ip_network((number, random.choice((60, 62, 64, 66, 120, 124, 127, 128))), strict=False)


def _around(network: Network, random: Random) -> Iterable[Any]:
    first, last = network.network_address, network.broadcast_address
    within = first + random.randrange(network.num_addresses)
    return (first, last, within, first - 1, last + 1)


class TestText:
    @pytest.mark.parametrize(
        "content",
        [
            "203.0.113.7",
            "203.0.113.7\r\n",
            "\ufeff203.0.113.7\n",
            "  203.0.113.7  \n",
            "203.0.113.5/29\n",
            # Spamhaus DROP
            "; Spamhaus DROP List\n; Expires: never\n203.0.113.0/24 ; SBL123\n",
            # FireHOL
            "#\n# firehol_level2\n#\n\n203.0.113.7\n",
            # ipsum
            "# IPsum\n203.0.113.7\t9\n",
            "203.0.113.7#comment\n",
            "203.0.113.7,malware,2026\n",
            '"203.0.113.7","malware"\n',
            "203.0.113.7|malware\n",
        ],
    )
    def test_one_entry_per_line(self, write: Write, content: str) -> None:
        feeds = _read(write(content))
        assert _listed(feeds, (LISTED, OTHER)) == [LISTED]
        assert feeds.sizes() == {"blocklist": 1}

    @pytest.mark.parametrize("content", ["", "\n\n", "# nothing today\n", "; nothing\n"])
    def test_file_without_entries(self, write: Write, content: str) -> None:
        assert _read(write(content)).sizes() == {"blocklist": 0}

    @pytest.mark.parametrize(
        "content",
        [
            "ip\n203.0.113.7\n",
            "first_seen,src_ip,dst_ip\n2026-01-01,203.0.113.7,198.51.100.1\n",
            'Description,Indicator,"Type"\n"a, b",203.0.113.7,IPv4\n',
            "id;CIDR;note\n1; 203.0.113.0/24 ;x\n",
            "id\tnetwork\n1\t203.0.113.7\n",
            # abuse.ch
            '####\n# Feodo Tracker\n####\n"first_seen_utc","dst_ip","port"\n"2026-01-01","203.0.113.7","443"\n# END\n',
            # without a header, or with unknown column names
            "2026-01-01,203.0.113.7\n2026-01-02,203.0.113.8\n",
            '"2026-01-01","203.0.113.7"\n',
            "when,who\n2026-01-01,203.0.113.7\n",
            "when,who\n\n2026-01-01,203.0.113.7\n",
        ],
    )
    def test_csv(self, write: Write, content: str) -> None:
        assert _listed(_read(write(content)), (LISTED, OTHER)) == [LISTED]

    def test_warning_names_the_line_of_the_csv_file(self, write: Write, caplog: pytest.LogCaptureFixture) -> None:
        rows = "".join(f'"192.0.2.{number}",x\n' for number in range(9))
        _read(write(f"# a\nip,note\n# b\n{rows}localhost,x\n"))
        assert "1 of 10 entries are not addresses, the first in line 13" in caplog.text

    @pytest.mark.parametrize(
        "content", ["error, try again later\n", "when,who\n2026,nobody\n", 'ip,note\n203.0.113.7,"' + "x" * 200_000]
    )
    def test_csv_without_addresses_is_rejected(self, write: Write, content: str) -> None:
        assert "CSV" in str(_problem(_feeds(write(content))))

    def test_few_invalid_lines_are_counted_and_skipped(self, write: Write, caplog: pytest.LogCaptureFixture) -> None:
        feeds = _feeds(
            write("203.0.113.7\nsecret.example.org\n192.0.2.1\n300.1.1.1\n192.0.2.0/33\n" + "192.0.2.2\n" * 9)
        )
        with caplog.at_level(logging.WARNING):
            assert [_problem(feeds), _problem(feeds)] == [None, None]
        assert feeds.sizes() == {"blocklist": 11}
        assert len(caplog.records) == 1
        assert "blocklist: 3 of 14 entries are not addresses, the first in line 2" in caplog.text
        assert "secret" not in caplog.text

    @pytest.mark.parametrize(("invalid", "rejected"), [(1, False), (2, True)])
    def test_more_than_a_quarter_of_invalid_entries_is_rejected(
        self, write: Write, invalid: int, rejected: bool
    ) -> None:
        problem = _problem(_feeds(write("203.0.113.7\n" * 3 + "example.org\n" * invalid)))
        assert bool(problem) == rejected

    @pytest.mark.parametrize(
        "entry",
        [
            "192.0.2.0/",
            "192.0.2.0/a",
            "192.0.2.0/-1",
            "192.0.2.0/٢٤",
            "192.0.2.0/0024",
            "192.0.2",
            "3232235777",
            "a::b::c",
        ],
    )
    def test_malformed_network_is_rejected(self, write: Write, entry: str) -> None:
        assert "1 of 1 entries" in str(_problem(_feeds(write(f"{entry}\n"))))


class TestLargeNetworks:
    @pytest.mark.parametrize(
        "network",
        ["0.0.0.0/0", "128.0.0.0/1", "::/0", "2000::/3", "2001:db8::/15", "::/1", "::ffff:0:0/96", "10.0.0.0/7"],
    )
    def test_rejected_with_the_line_number(self, write: Write, network: str) -> None:
        feeds = _read(write("192.0.2.1\n"))
        write(f"192.0.2.2\n# all\n{network} ; all\n")
        assert "line 3 contains a /" in str(_problem(feeds))
        assert _listed(feeds, ("192.0.2.1", "192.0.2.2", LISTED, "2001:db8::1")) == ["192.0.2.1"]

    def test_accepted_if_they_contain_no_unicast_addresses(self, write: Write) -> None:
        # As in bogon lists.
        bogons = ["0.0.0.0/8", "10.0.0.0/8", "224.0.0.0/3", "::/8", "2001::/16", "4000::/2", "8000::/1", "fc00::/7"]
        feeds = _read(write("\n".join(bogons)))
        assert _listed(feeds, ("10.9.9.9", "255.0.0.1", "2001:db8::1", "fd00::1", LISTED, "2a00::1")) == [
            "10.9.9.9",
            "255.0.0.1",
            "2001:db8::1",
            "fd00::1",
        ]


def _bundle(*objects: dict[str, Any]) -> str:
    return json.dumps({"type": "bundle", "id": "bundle--1", "objects": [*objects, {"type": "malware", "name": OTHER}]})


def _indicator(pattern: str = f"[ipv4-addr:value = '{LISTED}']", **members: Any) -> dict[str, Any]:
    begin = {"valid_from": "2020-01-01T00:00:00Z", "pattern_type": "stix"}
    return {"type": "indicator", "spec_version": "2.1", "pattern": pattern, **begin, **members}


class TestStix:
    @pytest.mark.parametrize(
        ("pattern", "listed"),
        [
            (f"[ipv4-addr:value = '{LISTED}']", [LISTED]),
            ("[ipv4-addr:value='203.0.113.7']", [LISTED]),
            ("[ipv4-addr:value = '203.0.113.0/24']", [LISTED]),
            ("[ipv4-addr:value ISSUBSET '203.0.113.0/24']", [LISTED]),
            ("[ipv6-addr:value = '2001:db8::1']", ["2001:db8::1"]),
            ("[ipv4-addr:value = '203.0.113.7' OR ipv6-addr:value ISSUBSET '2001:db8::/64']", [LISTED, "2001:db8::1"]),
            ("[ipv4-addr:value = '203.0.113.7'] OR [ipv4-addr:value = '198.51.100.1']", [LISTED, OTHER]),
            ("[ipv4-addr:value IN ('203.0.113.7', '198.51.100.1')]", [LISTED, OTHER]),
            ("[domain-name:value = 'x' OR ipv4-addr:value = '203.0.113.7']", [LISTED]),
            ("[domain-name:value = 'r AND d' OR ipv4-addr:value = '203.0.113.7']", [LISTED]),
            # An address alone does not match these.
            ("[ipv4-addr:value = '203.0.113.7' AND network-traffic:dst_port = 443]", []),
            ("[ipv4-addr:value = '203.0.113.7'] FOLLOWEDBY [ipv4-addr:value = '198.51.100.1']", []),
            ("[ipv4-addr:value = '203.0.113.7'] REPEATS 5 TIMES WITHIN 60 SECONDS", []),
            ("[ipv4-addr:value != '203.0.113.7']", []),
            ("[ipv4-addr:value NOT = '203.0.113.7']", []),
            ("[ipv4-addr:value ISSUPERSET '203.0.113.0/24']", []),
            ("[ipv4-addr:value LIKE '203.0.113.%']", []),
            ("[domain-name:value = '203.0.113.7']", []),
            ("[artifact:payload_bin = 'ipv4-addr:value = \\'203.0.113.7\\' AND']", []),
            ("[network-traffic:dst_ref.value = '203.0.113.7']", []),
            ("", []),
        ],
    )
    def test_pattern(self, write: Write, pattern: str, listed: list[str]) -> None:
        feeds = _read(write(_bundle(_indicator(pattern))))
        assert _listed(feeds, (LISTED, OTHER, "2001:db8::1")) == listed

    @pytest.mark.parametrize(
        ("members", "listed"),
        [
            ({}, True),
            ({"valid_from": "2999-01-01T00:00:00Z"}, False),
            ({"valid_until": "2999-01-01T00:00:00.123456Z"}, True),
            ({"valid_until": "2021-01-01T00:00:00.5Z"}, False),
            ({"revoked": True}, False),
            ({"revoked": False}, True),
            ({"pattern_type": "pcre"}, False),
        ],
    )
    def test_validity_of_an_indicator(self, write: Write, members: dict[str, Any], listed: bool) -> None:
        assert bool(_read(write(_bundle(_indicator(**members)))).matches(LISTED)) == listed

    def test_address_objects(self, write: Write) -> None:
        objects = ({"type": "ipv4-addr", "value": LISTED}, {"type": "ipv6-addr", "value": "2001:db8::/64"})
        feeds = _read(write(_bundle(*objects)))
        assert _listed(feeds, (LISTED, OTHER, "2001:db8::1")) == [LISTED, "2001:db8::1"]
        assert feeds.sizes() == {"blocklist": 2}

    def test_taxii_envelope_with_whitespace(self, write: Write) -> None:
        content = json.dumps({"more": False, "objects": [_indicator()], "next": {"objects": [1]}}, indent=4)
        assert _read(write(f"\ufeff\n{content}\n\n")).matches(LISTED)

    def test_indicator_expires_without_a_file_change(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [1_800_000_000.0]  # 2027-01-15T08:00:00Z
        monkeypatch.setattr(feed, "time", lambda: now[0])
        feeds = _read(
            write(
                _bundle(
                    _indicator(valid_until="2027-01-15T09:00:00Z"),
                    _indicator(f"[ipv4-addr:value = '{OTHER}']", valid_from="2027-01-15T09:00:01Z"),
                )
            )
        )
        assert _listed(feeds, (LISTED, OTHER)) == [LISTED]
        now[0] += 3599
        assert _problem(feeds) is None
        assert _listed(feeds, (LISTED, OTHER)) == [LISTED]
        now[0] += 1
        assert _problem(feeds) is None
        assert _listed(feeds, (LISTED, OTHER)) == []
        now[0] += 299
        assert _problem(feeds) is None
        assert _listed(feeds, (LISTED, OTHER)) == []
        now[0] += 1
        assert _problem(feeds) is None
        assert _listed(feeds, (LISTED, OTHER)) == [OTHER]

    @pytest.mark.parametrize(
        "broken",
        [
            {"type": "ipv4-addr", "value": "localhost"},
            {"type": "ipv4-addr", "value": 1},
            {"type": "ipv4-addr"},
            _indicator(valid_until="soon"),
            _indicator(valid_until=5),
            {**_indicator(), "pattern": None},
            _indicator("[ipv4-addr:value = 'localhost']"),
        ],
        ids=str,
    )
    def test_malformed_object_counts_as_invalid(
        self, write: Write, broken: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        assert _read(write(_bundle(*[_indicator()] * 3, broken))).matches(LISTED)
        assert "1 of 4 entries are not addresses, the first in object 4" in caplog.text

    def test_other_objects_are_ignored(self, write: Write, caplog: pytest.LogCaptureFixture) -> None:
        content = json.dumps({"objects": [1, None, [], "x", {}, {"type": 7}, _indicator()]})
        assert _read(write(content)).matches(LISTED)
        assert caplog.text == ""

    def test_json_lines(self, write: Write) -> None:
        lines = ['{"cidr":"203.0.113.0/24","sblid":"SBL1"}', '{"cidr":"2001:db8::/32"}', '{"type":"metadata","size":2}']
        feeds = _read(write("\n".join(lines)))
        assert _listed(feeds, (LISTED, OTHER, "2001:db8::1")) == [LISTED, "2001:db8::1"]

    @pytest.mark.parametrize(
        "content",
        [
            '{"error": "rate limit exceeded"}',
            "{}",
            "{",
            '{"objects"',
            '{"objects": [}',
            '{"objects": [{"type": "indicator"',
            '{"objects": [{}], "x": }',
            '{"objects": [{}]} junk',
            '{"objects": [{}]',
            "{objects: []}",
            '{"objects": 5}',
            '{"x": ' + "[" * 100_000,
        ],
        ids=lambda content: content[:40],
    )
    def test_other_or_truncated_json_is_rejected(self, write: Write, content: str) -> None:
        feeds = _read(write(_bundle(_indicator())))
        write(content)
        assert "JSON" in str(_problem(feeds))
        assert feeds.matches(LISTED)


class TestInvalidFiles:
    @pytest.fixture
    def feeds(self, write: Write) -> Feeds:
        return _read(write("203.0.113.7\n"))

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"<!DOCTYPE html>\n<p>203.0.113.9</p>\n", "HTML"),
            (b"\n\n  <?xml version='1.0'?>", "XML"),
            (gzip.compress(b"192.0.2.1\n", mtime=0), "decompress it"),
            ("192.0.2.1\n".encode("utf-16"), "save it as UTF-8"),
            (b"404: Not Found\n", "1 of 1 entries are not addresses"),
            (b"\xff\xfe\xfd", "1 of 1 entries"),
            (b"", "the file is empty now"),
            (b"# nothing\n", "the file is empty now"),
        ],
        ids=lambda value: str(value)[:20],
    )
    def test_last_content_stays_in_use_until_the_file_is_valid(
        self, feeds: Feeds, write: Write, content: bytes, problem: str
    ) -> None:
        write(content)
        for _ in range(2):
            assert problem in str(_problem(feeds))
            assert _listed(feeds, (LISTED, "192.0.2.1")) == [LISTED]
            assert feeds.sizes() == {"blocklist": 1}
        write("192.0.2.1\n192.0.2.2\n")
        assert [_problem(feeds), _problem(feeds)] == [None, None]
        assert _listed(feeds, (LISTED, "192.0.2.1")) == ["192.0.2.1"]
        assert feeds.sizes() == {"blocklist": 2}

    def test_unchanged_invalid_file_is_not_read_again(
        self, feeds: Feeds, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write("<html>")
        assert _problem(feeds)
        monkeypatch.setattr("builtins.open", None)
        assert "HTML" in str(_problem(feeds))

    def test_missing_file_is_read_when_it_is_back(self, feeds: Feeds, tmp_path: Path, write: Write) -> None:
        (tmp_path / "feed").unlink()
        assert "No such file" in str(_problem(feeds))
        assert feeds.matches(LISTED)
        write("192.0.2.1\n")
        assert _problem(feeds) is None
        assert _listed(feeds, (LISTED, "192.0.2.1")) == ["192.0.2.1"]

    def test_denied_read_is_retried(self, feeds: Feeds, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        # Not with a file mode: the tests may run as root.
        write("192.0.2.1\n")

        def denied(*_arguments: object) -> None:
            raise PermissionError(13, "Permission denied")

        with monkeypatch.context() as patch:
            patch.setattr("trust_otel.reloading_file.open", denied, raising=False)
            for _ in range(2):
                assert _problem(feeds) == (
                    "the file cannot be read (Permission denied); check the path and the permissions"
                )
        assert feeds.matches(LISTED)
        assert _problem(feeds) is None
        assert _listed(feeds, (LISTED, "192.0.2.1")) == ["192.0.2.1"]

    def test_other_than_regular_files_are_rejected(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path, tmp_path / "pipe"):
            assert "not a regular file" in str(_problem(_feeds(path)))

    def test_half_written_file_is_not_used(self, feeds: Feeds, write: Write, tmp_path: Path) -> None:
        # The incomplete last line is a valid address by itself.
        write("192.0.2.1\n192.0.2.1", age=1)
        assert "still being written" in str(_problem(feeds))
        assert _listed(feeds, (LISTED, "192.0.2.1")) == [LISTED]
        with (tmp_path / "feed").open("a") as file:
            file.write("28/25\n")
        assert _problem(feeds) is None
        assert _listed(feeds, (LISTED, "192.0.2.1", "192.0.2.200")) == ["192.0.2.1", "192.0.2.200"]

    def test_missing_final_newline_is_accepted_after_ten_seconds(
        self, feeds: Feeds, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written_at = write("192.0.2.1").stat().st_mtime
        for seconds in (0, 9):
            monkeypatch.setattr(feed, "time", lambda seconds=seconds: written_at + seconds)
            assert "still being written" in str(_problem(feeds))
        monkeypatch.setattr(feed, "time", lambda: written_at + 10)
        assert _problem(feeds) is None
        assert feeds.matches("192.0.2.1")

    def test_half_written_file_is_used_at_the_first_read(self, write: Write) -> None:
        assert _read(write("203.0.113.7\n192.0.2.1", age=0)).matches(LISTED)

    def test_unexpected_exception_is_reported_as_a_problem(
        self, feeds: Feeds, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write("192.0.2.1\n")
        with monkeypatch.context() as patch:
            patch.setattr(feed, "parse_network", None)
            assert "TypeError" in str(_problem(feeds))
        assert feeds.matches(LISTED)
        assert _problem(feeds) is None


class TestLimits:
    def test_entries(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feed, "MAX_NETWORKS", 3)
        feeds = _read(write("192.0.2.0/31\n" * 3))
        write("192.0.2.0/31\n" * 4)
        assert "more than 3 networks" in str(_problem(feeds))
        assert feeds.sizes() == {"blocklist": 3}

    def test_bytes(self, write: Write) -> None:
        path = write("192.0.2.1\n")
        os.truncate(path, reputation.MAX_BYTES + 1)
        assert "at most 134217728" in str(_problem(_feeds(path)))

    def test_memory(self, write: Write) -> None:
        random = Random(3)
        lines = [f"{ipaddress.IPv4Address(random.getrandbits(32))}\n" for _ in range(10_000)]
        lines += [f"{ipaddress.IPv6Address(random.getrandbits(128))}\n" for _ in range(10_000)]
        path = write("".join(lines))
        del lines
        tracemalloc.start()
        feeds = _read(path)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert feeds.sizes() == {"blocklist": 20_000}
        # Arrays overallocate by an eighth.
        assert kept < 10_000 * (8 + 32) * 9 / 8 + 100_000


class TestThreads:
    def test_lookups_during_a_reload_see_a_complete_version(self, tmp_path: Path) -> None:
        path, new = tmp_path / "feed", tmp_path / "new"
        versions = [f"192.0.2.{number}\n198.51.100.{number}\n" for number in range(10)]
        path.write_text("203.0.113.0/24\n" + versions[0])
        feeds = _read(path)
        stopped = threading.Event()
        misses: list[int] = []

        def look_up() -> None:
            missed = 0
            while not stopped.is_set():
                missed += not feeds.matches(LISTED)
            misses.append(missed)

        threads = [threading.Thread(target=look_up) for _ in range(2)]
        for thread in threads:
            thread.start()
        for version in versions[1:]:
            new.write_text("203.0.113.0/24\n" + version)
            new.replace(path)
            assert _problem(feeds) is None
            assert feeds.matches(version.split()[0]) == ("blocklist",)
        stopped.set()
        for thread in threads:
            thread.join()
        assert misses == [0, 0]

    def test_read_sleeps_after_each_millisecond_of_work(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        entries, sleeps = 10_000, list[float]()
        milliseconds = itertools.count(2, 2)
        monkeypatch.setattr(feed, "perf_counter", lambda: next(milliseconds) / 1000)
        monkeypatch.setattr(feed, "sleep", sleeps.append)
        _read(write("".join(f"192.0.{number >> 8 & 255}.{number & 255}\n" for number in range(entries))))
        assert len(sleeps) >= entries // 32
        assert set(sleeps) == {0.001}

    def test_throttle_does_not_sleep_before_a_millisecond_of_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sleeps: list[float] = []
        milliseconds = itertools.count(1, 0.6)
        monkeypatch.setattr(feed, "perf_counter", lambda: next(milliseconds) / 1000)
        monkeypatch.setattr(feed, "sleep", sleeps.append)
        throttle = feed.Throttle()
        slept = []
        for _ in range(6):
            throttle()
            slept.append(len(sleeps))
        assert slept == [0, 1, 1, 2, 2, 3]

    @pytest.mark.timeout(30)
    def test_close_stops_a_running_read(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        started, proceed = threading.Event(), threading.Event()

        def block(_seconds: float) -> None:
            started.set()
            proceed.wait()

        monkeypatch.setattr(feed, "sleep", block)
        feeds = _feeds(write("192.0.2.1\n" * 100_000))
        thread = threading.Thread(target=feeds.read_if_changed)
        thread.start()
        started.wait()
        feeds.close()
        proceed.set()
        thread.join()
        assert feeds.sizes() == {"blocklist": 0}
        assert feeds.matches("192.0.2.1") == ()

    @pytest.mark.timeout(30)
    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork")
    def test_child_forked_during_a_read_reads_again(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        started, proceed = threading.Event(), threading.Event()

        def block(_seconds: float) -> None:
            started.set()
            proceed.wait()

        monkeypatch.setattr(feed, "sleep", block)
        feeds = _feeds(write("192.0.2.1\n" * 20_000))
        thread = threading.Thread(target=feeds.read_if_changed)
        thread.start()
        started.wait()
        child = os.fork()
        if child == 0:
            try:
                monkeypatch.setattr(feed, "sleep", lambda _seconds: None)
                feeds.read_if_changed()
            finally:
                os._exit(0 if feeds.matches("192.0.2.1") else 1)
        proceed.set()
        thread.join()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
