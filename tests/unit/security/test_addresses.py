"""Client addresses: canonical form, form in metrics, and the key of the hash."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from random import Random

import pytest

from trust_otel.security.client_address import AddressForm, canonical, packed, read_key

KEY = bytes(range(32))


class TestCanonical:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::FFFF:c000:201", "192.0.2.1"),
            ("2001:DB8::1", "2001:db8::1"),
            ("2001:0db8:0:0:0:0:0:1", "2001:db8::1"),
            ("2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"),
            ("fe80::1%eth0", "fe80::1"),
            (f"2001:db8::1%{'x' * 1000}", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[fe80::1%25eth0]", "fe80::1"),
            ("[::ffff:192.0.2.1]", "192.0.2.1"),
            ("::", "::"),
            (IPv4Address("192.0.2.1"), "192.0.2.1"),
            (IPv6Address("::ffff:192.0.2.1"), "192.0.2.1"),
            (IPv6Address("fe80::1%eth0"), "fe80::1"),
        ],
        ids=lambda text: str(text)[:24],
    )
    def test_spellings_of_an_address(self, text: str, expected: str) -> None:
        assert canonical(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "localhost",
            "testclient",
            "192.0.2.1:443",
            "192.0.2.0/24",
            "192.0.2",
            "192.0.2.01",
            "0xc0.0.2.1",
            "192.0.2.1\n",
            " 192.0.2.1",
            "192.0.2.1\0",
            "192.0.2.1%eth0",
            "[192.0.2.1]",
            "[2001:db8::1",
            "[2001:db8::1]:443",
            "[[2001:db8::1]]",
            "2001:db8::1%",
            "2001:db8::1%a%b",
            "2001::db8::1",
            "2001:db8::12345",
            "\u0661\u0669\u0662.\u0660.\u0662.\u0661",
            "\ud800",
            "1" * 100_000,
            ":" * 100_000,
            3232235777,
            b"\xc0\x00\x02\x01",
            None,
        ],
        ids=lambda text: ascii(text)[:20],
    )
    def test_invalid_address_is_rejected_without_quoting_it(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"^this is not an IPv4 or IPv6 address$") as caught:
            canonical(text)
        assert caught.value.__cause__ is None

    def test_equals_the_standard_library(self) -> None:
        random = Random(1)
        for _ in range(2000):
            for number in (IPv4Address(random.getrandbits(32)), IPv6Address(random.getrandbits(128))):
                assert canonical(number.exploded) == canonical(str(number).upper()) == str(number)
                assert packed(str(number)) == number.packed

    def test_is_idempotent(self) -> None:
        for text in ("::1.2.3.4", "::2:3", "::1", "64:ff9b::192.0.2.1", "1:0:0:2:0:0:0:3"):
            assert canonical(canonical(text)) == canonical(text)
            assert ip_address(canonical(text)) == ip_address(text)


class TestForm:
    @pytest.mark.parametrize(
        ("form", "address", "expected"),
        [
            ("full", "192.0.2.77", "192.0.2.77"),
            ("full", "2001:db8:1:2::3", "2001:db8:1:2::3"),
            ("truncated", "192.0.2.77", "192.0.2.0/24"),
            ("truncated", "2001:db8:1:2::3", "2001:db8:1::/48"),
            ("truncated", "::1", "::/48"),
            ("off", "192.0.2.77", None),
        ],
    )
    def test_label_value(self, form: str, address: str, expected: str | None) -> None:
        assert AddressForm(form).shown(address) == expected

    @pytest.mark.parametrize("address", ["192.0.2.77", "2001:db8::1"])
    def test_hash_is_truncated_hmac_sha256(self, address: str) -> None:
        expected = hmac.new(KEY, address.encode(), hashlib.sha256).hexdigest()[:16]
        assert AddressForm("hashed", KEY).shown(address) == expected

    def test_hash_with_a_key_is_stable(self) -> None:
        assert AddressForm("hashed", KEY).shown("192.0.2.1") == AddressForm("hashed", KEY).shown("192.0.2.1")
        assert AddressForm("hashed", KEY).shown("192.0.2.1") != AddressForm("hashed", KEY).shown("192.0.2.2")
        assert AddressForm("hashed", KEY).shown("192.0.2.1") != AddressForm("hashed", KEY[::-1]).shown("192.0.2.1")

    def test_hash_without_a_key_differs_between_processes(self) -> None:
        form = AddressForm("hashed")
        assert form.shown("192.0.2.1") == form.shown("192.0.2.1")
        assert form.shown("192.0.2.1") != AddressForm("hashed").shown("192.0.2.1")

    def test_unknown_form_is_rejected(self) -> None:
        with pytest.raises(ValueError, match="full, truncated, hashed, off"):
            AddressForm("Hashed")

    def test_repr_does_not_contain_the_key(self) -> None:
        assert KEY.hex() not in repr(AddressForm("hashed", KEY))
        assert repr(KEY) not in repr(AddressForm("hashed", KEY))


class TestKey:
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[bytes], Path]:
        def make(content: bytes) -> Path:
            path = tmp_path / "key"
            path.write_bytes(content)
            path.chmod(0o400)
            return path

        return make

    @pytest.mark.parametrize("content", [KEY, KEY + b"\n", b"\n" * 32, bytes(4096)], ids=lambda content: content[-3:])
    def test_key_is_the_whole_file(self, make: Callable[[bytes], Path], content: bytes) -> None:
        assert read_key(str(make(content))) == content

    @pytest.mark.parametrize("content", [b"", KEY[:31], bytes(4097)], ids=len)
    def test_wrong_length_is_rejected_with_a_fix(self, make: Callable[[bytes], Path], content: bytes) -> None:
        with pytest.raises(ValueError, match="32 to 4096 bytes; create one with `openssl rand"):
            read_key(str(make(content)))

    def test_endless_file_is_rejected(self) -> None:
        with pytest.raises(ValueError, match="no valid key"):
            read_key("/dev/zero")

    def test_unreadable_file(self, tmp_path: Path) -> None:
        with pytest.raises(OSError, match="missing"):
            read_key(str(tmp_path / "missing"))
        with pytest.raises(OSError, match=tmp_path.name):
            read_key(str(tmp_path))

    @pytest.mark.parametrize(("mode", "warned"), [(0o400, False), (0o640, False), (0o604, True), (0o644, True)])
    def test_warning_if_the_file_is_world_readable(
        self, make: Callable[[bytes], Path], mode: int, warned: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = make(KEY)
        path.chmod(mode)
        with caplog.at_level(logging.WARNING):
            assert read_key(str(path)) == KEY
        assert ("0400" in caplog.text) == warned
        assert KEY.hex() not in caplog.text
