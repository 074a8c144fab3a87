"""Settings that are lists: valid entries, and the errors of invalid ones."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from trust_otel.setting_lists import (
    CERTIFICATE_KINDS,
    DETECTORS,
    LEAD_DAYS,
    BadValueError,
    CertificateSource,
    Dependency,
    TimeServer,
    TrustList,
    certificate_sources,
    dependencies,
    detectors,
    headers,
    lead_days,
    named_paths,
    networks,
    path,
    resource_attributes,
    time_servers,
    trust_lists,
    usable_headers,
    usable_resource_attributes,
)


def test_certificate_sources_are_paths_and_urls_with_or_without_a_name() -> None:
    text = "/etc/tls/*.pem, ca=/etc/ca.der ,https://example.test:8443,crl=crl+http://ca.test/x.crl, kubernetes://"
    assert certificate_sources(text) == (
        CertificateSource("/etc/tls/*.pem"),
        CertificateSource("/etc/ca.der", "ca"),
        CertificateSource("https://example.test:8443"),
        CertificateSource("crl+http://ca.test/x.crl", "crl"),
        CertificateSource("kubernetes://"),
    )


def test_equals_sign_in_a_path_is_not_a_name() -> None:
    assert certificate_sources("/etc/a=b.pem") == (CertificateSource("/etc/a=b.pem"),)


def test_name_of_a_certificate_source_may_be_a_host_name() -> None:
    assert certificate_sources("api.test=tls://api.test,a.test=/etc/tls/*.pem,a.d/x=y.pem") == (
        CertificateSource("tls://api.test", "api.test"),
        CertificateSource("/etc/tls/*.pem", "a.test"),
        CertificateSource("a.d/x=y.pem"),
    )


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("/etc/ca.pem,ftp://example.test", "entry 2: use a path"),
        ("tls+postgres:user:pw@db.test", "://"),
        ("db=tls+postgres:user:pw@db.test", "://"),
        ("host=db.test password=pw", "://"),
        ("tls+postgres:user:pw@db=1", "a character that is not allowed"),
        ("crl+https://user:1/w@ca.test/x.crl", "%xx"),
        ("kubernetes://a/b", "namespace"),
        ("kubernetes://../../secrets", "namespace"),
        ("ftp://example.test", "https://"),
        ("https://", "host"),
        ("https://example.test:99999", "port"),
        ("=/etc/ca.pem", "name=source"),
        ("ca=", "name=source"),
    ],
)
def test_invalid_certificate_source_is_rejected_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(BadValueError, match=remedy):
        certificate_sources(text)


@pytest.mark.parametrize(
    ("entry", "name", "kind"),
    [
        ("vault=https://vault.test:8200/v1/sys/health", "vault", "vault"),
        ("secrets=https://vault.test/v1/sys/health?standbyok=true", "secrets", "vault"),
        ("pki=https://ca.test/health", "pki", "pki"),
        ("ca:pki=https://ca.test/health", "ca", "pki"),
        ("register=https://register.test", "register", "http"),
        ("db=postgresql://user:secret@db.test/trust", "db", "database"),
        ("cache=redis://:secret@cache.test/0", "cache", "cache"),
        ("peer=grpc://peer.test:50051", "peer", "grpc"),
    ],
)
def test_type_of_a_dependency_is_derived_from_its_entry(entry: str, name: str, kind: str) -> None:
    (found,) = dependencies(entry)
    assert (found.name, found.type, found.url) == (name, kind, entry.split("=", 1)[1])


@pytest.mark.parametrize(
    ("url", "converted"),
    [
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
        ("https://B\u00dcCHER.example.:8200/a?b", "https://xn--bcher-kva.example.:8200/a?b"),
        ("rediss://:secret@\u4f8b\u3048.jp:6379/1", "rediss://:secret@xn--r8jz45g.jp:6379/1"),
        ("grpcs://xn--bcher-kva.example:1", "grpcs://xn--bcher-kva.example:1"),
    ],
)
def test_international_host_of_a_dependency_is_converted(url: str, converted: str) -> None:
    assert dependencies(f"a={url}")[0].url == converted


@pytest.mark.parametrize("host", ["stra\u00dfe.example", "a\u03c2.example", f"\u00fc{'a' * 70}.example"])
def test_ambiguous_or_invalid_international_host_is_rejected(host: str) -> None:
    with pytest.raises(BadValueError, match="xn--"):
        dependencies(f"a=https://{host}/")
    with pytest.raises(BadValueError, match="xn--"):
        certificate_sources(f"tls://{host}")


def test_repr_of_a_dependency_has_no_credentials() -> None:
    assert "secret" not in repr(Dependency("db", "database", "postgresql://user:secret@db.test"))


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("https://example.test", "name=url"),
        ("register=https://example.test,postgresql:user:pw@db.test", "entry 2: .*name=url"),
        ("postgresql:user:pw@db.test/x?sslmode=disable", "the type between the name and `=`"),
        ("user pw@db.test?x=http://example.test", "name=url"),
        ("db=host=db.test password=pw", "host"),
        ("db=postgresql://user:pw word@db.test", "%xx"),
        ("db=postgresql://user:1/w@db.test", "%xx"),
        ("=https://example.test", "name=url"),
        ("db=oracle://db.test", "postgresql://"),
        ("db=postgresql://", "host"),
        ("a=http://x.test,a=http://y.test", "entry 2: its name is a duplicate of an earlier entry"),
        ("x:planet=http://x.test", "one of vault"),
        ("cache=redis://cache.test/zero", "number"),
        ("cache=redis://cache.test?ssl_cert_reqs=none", "may only contain"),
        ("peer=grpc://peer.test", "port"),
        ("ca=http://ca.test/a b", "%xx"),
        ("ca=http://ca.test/\u00e4", "%xx"),
        (",".join(f"a{number}=http://a.test" for number in range(51)), "at most 50"),
    ],
)
def test_invalid_dependency_is_rejected_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(BadValueError, match=remedy):
        dependencies(text)


def test_fifty_dependencies_are_accepted() -> None:
    assert len(dependencies(",".join(f"a{number}=http://a.test" for number in range(50)))) == 50


def test_lead_days_replace_those_of_the_listed_kinds_only() -> None:
    default = dict(lead_days(LEAD_DAYS))
    assert set(default) == set(CERTIFICATE_KINDS)
    assert dict(lead_days(" root = 730 ,tls=14")) == {**default, "root": 730, "tls": 14}


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("tls=30,rot=365", "entry 2: write each entry as `kind=days`, with one of root, issuing_ca, csca"),
        ("365", "kind=days"),
        ("root", "a whole number of days"),
        ("root=12m", "a whole number of days"),
        ("root=0", "from 1 to 36500"),
        ("root=36501", "from 1 to 36500"),
        ("root=9999999999999", "from 1 to 36500"),
        ("root=²", "a whole number of days"),
        ("root=1,root=2", "entry 2: its name is a duplicate"),
    ],
)
def test_invalid_lead_days_are_rejected_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(BadValueError, match=remedy):
        lead_days(text)


def test_time_servers_have_a_name_a_host_and_a_port() -> None:
    assert time_servers("ntp.test, own = 10.0.0.1:1123,[2001:db8::1]:124") == (
        TimeServer("ntp.test", "ntp.test", 123),
        TimeServer("own", "10.0.0.1", 1123),
        TimeServer("[2001:db8::1]:124", "2001:db8::1", 124),
    )


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("ntp://ntp.test", "entry 1: write each entry as `host`"),
        ("ntp.test/a", "`host:port`"),
        ("ntp.test:0", "`host:port`"),
        ("user:pw@ntp.test", "`host:port`"),
        ("a=", "`host:port`"),
        ("a b=ntp.test", "a character that is not allowed"),
        ("a.test,a.test", "entry 2: its name is a duplicate"),
        (",".join(f"n{number}.test" for number in range(11)), "at most 10"),
    ],
)
def test_invalid_time_server_is_rejected_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(BadValueError, match=remedy):
        time_servers(text)


def test_trust_lists_have_a_name_a_type_and_a_location() -> None:
    assert trust_lists("eu=etsi+https://ec.test/lotl.xml, ml=icao+/etc/a=b+c.ml,us = vical+ ./us.cbor") == (
        TrustList("eu", "etsi", "https://ec.test/lotl.xml"),
        TrustList("ml", "icao", "/etc/a=b+c.ml"),
        TrustList("us", "vical", "./us.cbor"),
    )


def test_credentials_of_a_trust_list_are_not_shown() -> None:
    (found,) = trust_lists("eu=etsi+https://user:secret@ec.test/lotl.xml")
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("https://ec.test/lotl.xml", "entry 1: write each entry as `name=type"),
        ("eu=etsi", "`name=type\\+url`"),
        ("eu=etsi+", "`name=type\\+url`"),
        ("e u=etsi+/list", "`name=type\\+url`"),
        ("eu=tsl+/list", "must be one of etsi, icao, vical"),
        ("eu=/list", "`name=type"),
        ("eu=etsi+ftp://ec.test/list", "http:// or https://"),
        ("eu=etsi+https://", "each URL needs a host"),
        ("eu=etsi+a b", "the path of a file"),
        ("eu=etsi+/a,eu=icao+/b", "entry 2: its name is a duplicate"),
        (",".join(f"n{number}=icao+/{number}" for number in range(21)), "at most 20"),
    ],
)
def test_invalid_trust_list_is_rejected_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(BadValueError, match=remedy):
        trust_lists(text)


def test_networks_may_be_single_addresses_of_both_families() -> None:
    assert networks("10.0.0.0/8, 192.0.2.1,2001:db8::/32") == (
        ip_network("10.0.0.0/8"),
        ip_network("192.0.2.1/32"),
        ip_network("2001:db8::/32"),
    )
    with pytest.raises(BadValueError, match="addresses and networks"):
        networks("10.0.0.0/8,proxy.test")


def test_every_named_path_needs_a_name() -> None:
    assert named_paths("a=/x/y.txt, b=/z=1.csv") == (("a", "/x/y.txt"), ("b", "/z=1.csv"))
    for text in ("/x/y.txt", "a=", "a=/x,a=/y"):
        with pytest.raises(BadValueError):
            named_paths(text)


def test_invalid_headers_and_attributes_are_reported_by_position_and_the_others_kept() -> None:
    for parse, usable, text in (
        (headers, usable_headers, "a=b%20c, nothing , d=e;f, api-key=x=y,g=%0a"),
        (resource_attributes, usable_resource_attributes, "a=b%20c, nothing , api-key=x=y"),
    ):
        with pytest.raises(BadValueError, match="entry 2: write each"):
            parse(text)
        assert usable(text) == "a=b%20c,api-key=x=y"
        assert parse(usable(text))


@pytest.mark.parametrize("text", ["https://download.test/?license_key=pw", "-----BEGIN KEY-----", "a\nb"])
def test_text_that_is_not_a_path_is_rejected(text: str) -> None:
    with pytest.raises(BadValueError, match="path of a file"):
        path(text)
    with pytest.raises(BadValueError, match=r"entry 1: .*path of a file"):
        named_paths(f"feed={text}")


def test_detectors_are_selected_by_name_or_none() -> None:
    assert detectors("path_scanning, mfa_fatigue") == {"path_scanning", "mfa_fatigue"}
    assert detectors("none") == frozenset()
    for text in ("everything", "none,mfa_fatigue", ","):
        with pytest.raises(BadValueError, match=DETECTORS[0]):
            detectors(text)
