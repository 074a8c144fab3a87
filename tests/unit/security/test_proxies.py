"""TrustedProxies: only entries of trusted proxies are used."""

from __future__ import annotations

from time import thread_time

import pytest

from trust_otel.security.client_address import TrustedProxies
from trust_otel.setting_lists import networks

PROXY = "10.0.0.1"
CLIENT = "203.0.113.7"

Headers = list[tuple[bytes, bytes]]


@pytest.fixture
def proxies() -> TrustedProxies:
    return TrustedProxies(networks("10.0.0.0/8, 2001:db8:ffff::/48, 192.0.2.1, ::ffff:172.16.0.0/108"))


def _x_forwarded_for(*values: str) -> Headers:
    return [(b"x-forwarded-for", value.encode("latin-1")) for value in values]


def _forwarded(*values: str) -> Headers:
    return [(b"forwarded", value.encode("latin-1")) for value in values]


class TestPeer:
    @pytest.mark.parametrize("text", ["", "10.0.0.0/8"])
    @pytest.mark.parametrize(
        ("peer", "client"),
        [
            (CLIENT, CLIENT),
            ("::ffff:203.0.113.7", CLIENT),
            ("2001:DB8::1", "2001:db8::1"),
            (None, None),
            ("", None),
            ("testclient", None),
            ("/run/service.sock", None),
        ],
    )
    def test_headers_of_an_untrusted_peer_are_ignored(self, text: str, peer: str | None, client: str | None) -> None:
        headers = _x_forwarded_for("198.51.100.1") + _forwarded("for=198.51.100.1")
        assert TrustedProxies(networks(text)).client(peer, headers) == client

    def test_peer_is_the_client_without_trusted_proxies(self) -> None:
        assert TrustedProxies([]).client(PROXY, _x_forwarded_for(CLIENT)) == PROXY

    @pytest.mark.parametrize("peer", [PROXY, "192.0.2.1", "2001:db8:ffff::1", "172.16.0.1", "::ffff:10.0.0.1"])
    def test_headers_of_a_trusted_peer_are_used(self, proxies: TrustedProxies, peer: str) -> None:
        assert proxies.client(peer, _x_forwarded_for(CLIENT)) == CLIENT

    @pytest.mark.parametrize("peer", ["11.0.0.1", "192.0.2.2", "2001:db8:fffe::1", "172.32.0.1"])
    def test_peer_next_to_a_trusted_network_is_not_trusted(self, proxies: TrustedProxies, peer: str) -> None:
        assert proxies.client(peer, _x_forwarded_for(CLIENT)) == peer

    def test_trusted_peer_without_a_header_is_the_client(self, proxies: TrustedProxies) -> None:
        assert proxies.client(PROXY, [(b"host", b"example.org"), (b"x-real-ip", b"198.51.100.1")]) == PROXY


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([CLIENT], CLIENT),
        (["198.51.100.1, 203.0.113.7"], CLIENT),
        (["198.51.100.1, 203.0.113.7, 10.0.0.3,10.0.0.2"], CLIENT),
        (["198.51.100.1", "203.0.113.7", "10.0.0.2"], CLIENT),
        (["198.51.100.1,\t203.0.113.7 , ,"], CLIENT),
        (["203.0.113.7:4711"], CLIENT),
        (["2001:DB8::7"], "2001:db8::7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["[2001:db8::7]:4711"], "2001:db8::7"),
        (["::ffff:203.0.113.7"], CLIENT),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ([""], PROXY),
        (["unknown"], PROXY),
        (["unknown, 10.0.0.2"], "10.0.0.2"),
        (["203.0.113.7, <script>, 10.0.0.2"], "10.0.0.2"),
        (["203.0.113.7, 198.51.100.1; drop"], PROXY),
        (["203.0.113.7:"], PROXY),
        (["203.0.113.7:port"], PROXY),
        (["203.0.113.7:4711:1"], PROXY),
        (["[2001:db8::7"], PROXY),
        (["[2001:db8::7]4711"], PROXY),
        (["[203.0.113.7]"], PROXY),
        (["203.0.113.7\x00"], PROXY),
        (["203.0.113.7\xa0"], PROXY),
        (["'203.0.113.7'"], PROXY),
    ],
)
def test_x_forwarded_for(proxies: TrustedProxies, values: list[str], client: str) -> None:
    assert proxies.client(PROXY, _x_forwarded_for(*values)) == client


@pytest.mark.parametrize(
    ("values", "client"),
    [
        # RFC 7239, sections 4 and 7.1
        (["for=192.0.2.60;proto=http;by=203.0.113.43"], "192.0.2.60"),
        (['For="[2001:db8:cafe::17]:4711"'], "2001:db8:cafe::17"),
        (["for=192.0.2.43, for=198.51.100.17"], "198.51.100.17"),
        (["for=192.0.2.43", "for=198.51.100.17, for=10.0.0.2"], "198.51.100.17"),
        (['for=192.0.2.43, for="[2001:db8:cafe::17]"'], "2001:db8:cafe::17"),
        (["for=203.0.113.7, for=_hidden"], PROXY),
        (["for=203.0.113.7, for=unknown, for=10.0.0.2"], "10.0.0.2"),
        (["for=203.0.113.7, for=_SEVKISEK, for=10.0.0.2;by=_gateway"], "10.0.0.2"),
        # Seen in practice
        (["for=203.0.113.7:4711"], CLIENT),
        (['for="203.0.113.7:4711"'], CLIENT),
        (['for="203.0.113.7:_port"'], CLIENT),
        (['for="[2001:db8::7]:4711";proto=https;host="a,b;c"'], "2001:db8::7"),
        (["proto=https ; for=203.0.113.7 ;by=_x;"], CLIENT),
        (["for=203.0.113.7, ,"], CLIENT),
        # Without a client
        (["proto=https"], PROXY),
        (["for="], PROXY),
        (['for=""'], PROXY),
        (["203.0.113.7"], PROXY),
        (["for=203.0.113.7;for=198.51.100.1"], PROXY),
        (["for=203.0.113.7 junk"], PROXY),
        (["for =203.0.113.7"], PROXY),
        (['for="203.0.113.7\\"'], PROXY),
        (['for="203.0.113.7'], PROXY),
        (['for="203.0.113.7" "'], PROXY),
        # An unclosed quote from the client does not hide the entries of a proxy
        (['for="', "for=203.0.113.7"], CLIENT),
        (['for="198.51.100.1', 'for="[2001:db8::7]:4711"'], "2001:db8::7"),
        (['for=198.51.100.1, for="', 'for="[2001:db8::7]"'], "2001:db8::7"),
        (['for=198.51.100.1;x="\\', 'for=203.0.113.7;host="a,b"'], CLIENT),
    ],
)
def test_forwarded(proxies: TrustedProxies, values: list[str], client: str) -> None:
    assert proxies.client(PROXY, _forwarded(*values)) == client


class TestBothHeaders:
    def test_equal_clients_are_used(self, proxies: TrustedProxies) -> None:
        headers = _forwarded("for=198.51.100.1, for=203.0.113.7") + _x_forwarded_for("203.0.113.7, 10.0.0.2")
        assert proxies.client(PROXY, headers) == CLIENT

    @pytest.mark.parametrize("other", ["for=198.51.100.1", "for=unknown", "junk", ""])
    def test_different_clients_mean_the_peer(self, proxies: TrustedProxies, other: str) -> None:
        assert proxies.client(PROXY, _forwarded(other) + _x_forwarded_for(CLIENT)) == PROXY


class TestLongHeaders:
    @pytest.mark.parametrize("filler", ["198.51.100.1,", ",", "10.0.0.9, ", "x", '"', '",', "for=10.0.0.9,", "for=\\"])
    @pytest.mark.parametrize("name", [b"x-forwarded-for", b"forwarded"])
    def test_last_entry_is_used(self, proxies: TrustedProxies, name: bytes, filler: str) -> None:
        last = f"for={CLIENT}" if name == b"forwarded" else CLIENT
        value = (filler * (1_000_000 // len(filler)) + f", {last}").encode()
        assert proxies.client(PROXY, [(name, value)]) == CLIENT

    @pytest.mark.parametrize("padding", range(20))
    def test_cut_off_entry_is_ignored(self, proxies: TrustedProxies, padding: int) -> None:
        value = "192.0.2.123" + ",10.0.0.2" * 225 + " " * padding + ",10.0.0.3"
        cut = len(value) > 2048
        assert proxies.client(PROXY, _x_forwarded_for(value)) == ("10.0.0.2" if cut else "192.0.2.123")

    @pytest.mark.parametrize("filler", ["10.0.0.9,", ",", '",', "for=10.0.0.9,", 'for="",', "a=;", " ", "for=a;" * 9])
    @pytest.mark.parametrize("name", [b"x-forwarded-for", b"forwarded"])
    def test_takes_milliseconds(self, proxies: TrustedProxies, name: bytes, filler: str) -> None:
        value = (filler * (1_000_000 // len(filler))).encode()
        seconds = []
        for _ in range(5):
            begin = thread_time()
            proxies.client(PROXY, [(name, value)] * 10)
            seconds.append(thread_time() - begin)
        assert min(seconds) < 0.02
