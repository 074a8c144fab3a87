"""Country lookups, and a database that is replaced, removed or corrupted while the service runs."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from trust_otel.security.geo import Countries

DE, FR = ({"country": {"iso_code": code, "names": {"en": code}}} for code in ("DE", "FR"))

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a database with a record per network."""

    def make(records: Mapping[str, Any], path: Path = tmp_path / "countries.mmdb", **options: Any) -> Path:
        writer = MMDBWriter(**{"ip_version": 6, "ipv4_compatible": True, "database_type": "Test-Country", **options})
        for network, record in records.items():
            writer.insert_network(IPSet([network]), record)
        made = path.with_suffix(".new")
        writer.to_db_file(str(made))
        made.replace(path)
        return path

    return make


def _read(path: Path) -> Countries:
    countries = Countries(str(path))
    assert countries.read_if_changed()
    return countries


class TestLookUp:
    def test_ipv4_and_ipv6(self, make: Make) -> None:
        countries = _read(make({"192.0.2.0/24": DE, "2001:db8:1::/48": FR}))
        assert countries.country("192.0.2.200") == "DE"
        assert countries.country("2001:db8:1::1") == "FR"
        assert countries.country("198.51.100.1") is None
        assert countries.country("2001:db8:2::1") is None

    @pytest.mark.parametrize(
        ("record", "country"),
        [
            ({"country": {"iso_code": "DE"}, "registered_country": {"iso_code": "FR"}}, "DE"),  # MaxMind, DB-IP
            ({"country": "DE", "country_name": "Germany", "continent": "EU"}, "DE"),  # IPinfo
            ({"country": "Germany", "country_code": "DE", "continent": "Europe"}, "DE"),  # IPinfo Lite
            ({"country_code": "de"}, "DE"),  # ip-location-db
            ({"registered_country": {"iso_code": "FR"}}, None),
            ({"continent": {"code": "EU"}, "country": {"names": {"en": "Germany"}}}, None),
            ({"country": {"iso_code": ""}}, None),
            ({"country": {"iso_code": "DEU"}}, None),
            ({"country": {"iso_code": "D3"}}, None),
            ({"country": {"iso_code": "ÄÖ"}}, None),
            ({"country": {"iso_code": {"a": "b"}}}, None),
            ({"country": "Germany"}, None),
        ],
    )
    def test_layouts(self, make: Make, record: Mapping[str, Any], country: str | None) -> None:
        countries = _read(make({"192.0.2.0/24": record, "198.51.100.0/24": FR}))
        assert countries.country("192.0.2.1") == country

    @pytest.mark.parametrize("address", ["", "localhost", "192.0.2.1:80", "\0", "1" * 100_000])
    def test_invalid_address_is_unknown(self, make: Make, address: str) -> None:
        assert _read(make({"192.0.2.0/24": DE})).country(address) is None

    def test_ipv6_is_unknown_in_an_ipv4_database(self, make: Make) -> None:
        countries = _read(make({"192.0.2.0/24": DE}, ip_version=4, ipv4_compatible=False))
        assert countries.country("192.0.2.1") == "DE"
        assert countries.country("2001:db8::1") is None

    def test_without_memfd(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(os, "memfd_create", raising=False)
        countries = _read(make({"192.0.2.0/24": DE}))
        assert countries.country("192.0.2.1") == "DE"

    def test_without_the_c_extension(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("maxminddb._extension", None)
        countries = _read(make({"192.0.2.0/24": DE}))
        assert type(countries._database.value).__module__ == "maxminddb.reader"
        assert countries.country("192.0.2.1") == "DE"

    def test_no_file_stays_open(self, make: Make) -> None:
        before = os.listdir("/proc/self/fd")
        countries = _read(make({"192.0.2.0/24": DE}))
        assert os.listdir("/proc/self/fd") == before
        countries.close()


class TestReading:
    def test_database_is_read_once(self, make: Make) -> None:
        path = make({"192.0.2.0/24": DE})
        countries = Countries(str(path))
        assert countries.country("192.0.2.1") is None
        assert countries.built_at is None
        assert [countries.read_if_changed(), countries.read_if_changed()] == [True, False]
        assert countries.country("192.0.2.1") == "DE"

    def test_build_time(self, make: Make) -> None:
        path = make({"192.0.2.0/24": DE})
        built_at = _read(path).built_at
        assert built_at is not None
        assert abs(built_at - path.stat().st_mtime) <= 2

    def test_replaced_database_is_read(self, make: Make) -> None:
        countries = _read(make({"192.0.2.0/24": DE}))
        make({"192.0.2.0/24": FR})
        assert countries.country("192.0.2.1") == "DE"
        assert countries.read_if_changed()
        assert countries.country("192.0.2.1") == "FR"

    def test_overwriting_the_file_does_not_affect_lookups(self, make: Make) -> None:
        path = make({f"192.0.2.{number}": DE for number in range(0, 256, 2)})
        countries = _read(path)
        content = path.read_bytes()
        for junk in (b"", b"\xff" * len(content), content[: len(content) // 2]):
            path.write_bytes(junk)
            assert countries.country("192.0.2.2") == "DE"

    def test_missing_file_keeps_the_last_database(self, make: Make) -> None:
        path = make({"192.0.2.0/24": DE})
        countries = _read(path)
        away = path.rename(path.with_name("away"))
        for _ in range(2):
            with pytest.raises(ValueError, match=r"No such file.*check the path"):
                countries.read_if_changed()
            assert countries.country("192.0.2.1") == "DE"
        away.rename(path)
        assert countries.read_if_changed()

    @pytest.mark.parametrize("kind", ["half", "junk", "empty", "text", "compressed"])
    def test_invalid_file_keeps_the_last_database(self, make: Make, kind: str) -> None:
        path = make({"192.0.2.0/24": DE})
        countries = _read(path)
        content = path.read_bytes()
        contents = {
            "half": content[: len(content) // 2],
            "junk": bytes(range(256)) * 100,
            "empty": b"",
            "text": b"<html>404",
            "compressed": gzip.compress(content),
        }
        path.write_bytes(contents[kind])
        for _ in range(2):
            with pytest.raises(ValueError, match=r"not a complete database .*download a country database"):
                countries.read_if_changed()
            assert countries.country("192.0.2.1") == "DE"
        make({"192.0.2.0/24": FR})
        assert countries.read_if_changed()
        assert countries.country("192.0.2.1") == "FR"

    def test_database_without_countries_is_rejected(self, make: Make) -> None:
        path = make({"192.0.2.0/24": {"autonomous_system_number": 64496}}, database_type="Test-ASN")
        with pytest.raises(ValueError, match=r"\(Test-ASN\) has no countries"):
            Countries(str(path)).read_if_changed()

    def test_other_than_regular_files_are_rejected(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path, tmp_path / "pipe"):
            with pytest.raises(ValueError, match="not a regular file"):
                Countries(str(path)).read_if_changed()

    def test_too_large_file_is_rejected(self, make: Make) -> None:
        path = make({"192.0.2.0/24": DE})
        os.truncate(path, 2**30)
        with pytest.raises(ValueError, match="at most 536870912"):
            Countries(str(path)).read_if_changed()

    def test_missing_library_is_named(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        path = make({"192.0.2.0/24": DE})
        monkeypatch.setitem(sys.modules, "maxminddb", None)
        countries = Countries(str(path))
        with pytest.raises(ValueError, match=r"pip install 'trust-otel\[geo\]'"):
            countries.read_if_changed()
        assert countries.country("192.0.2.1") is None

    def test_interrupted_read_is_repeated(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        path = make({"192.0.2.0/24": DE})
        countries = Countries(str(path))

        class InterruptedReadError(BaseException):
            """As in a forked child process, which does not have the reading thread."""

        def interrupt(file: object) -> None:
            raise InterruptedReadError

        with monkeypatch.context() as patch:
            patch.setattr(countries._database, "_read", interrupt)
            with pytest.raises(InterruptedReadError):
                countries.read_if_changed()
        assert countries.read_if_changed()
        assert countries.country("192.0.2.1") == "DE"


def test_close_releases_the_database(make: Make) -> None:
    countries = _read(make({"192.0.2.0/24": DE}))
    countries.close()
    countries.close()
    assert countries.country("192.0.2.1") is None
    assert countries.built_at is None


def test_lookups_during_a_reload(make: Make, tmp_path: Path) -> None:
    versions = [
        make({"192.0.2.0/24": record}, path=tmp_path / f"{index}.mmdb") for index, record in enumerate((DE, FR))
    ]
    path, new = tmp_path / "used.mmdb", tmp_path / "new.mmdb"
    shutil.copy(versions[0], path)
    countries = _read(path)
    stopped = threading.Event()
    seen: list[set[str | None]] = []

    def look_up() -> None:
        found = set()
        while not stopped.is_set():
            found.add(countries.country("192.0.2.1"))
        seen.append(found)

    threads = [threading.Thread(target=look_up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(1, 10):
        shutil.copy(versions[number % 2], new)
        new.replace(path)
        assert countries.read_if_changed()
    stopped.set()
    for thread in threads:
        thread.join()
    assert len(seen) == 2
    assert set().union(*seen) == {"DE", "FR"}
