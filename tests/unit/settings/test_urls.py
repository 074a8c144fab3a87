"""Parsing of URLs in settings."""

import pytest

from trust_otel.urls import parse_url


@pytest.mark.parametrize("url", ["http://h", "https://user:secret@h:1/x?y=1", "http://[::1]:65535", "redis://h/0"])
def test_url_with_a_host_is_parsed(url: str) -> None:
    parts = parse_url(url)
    assert parts is not None
    assert parts.geturl() == url


@pytest.mark.parametrize(
    "text",
    ["", "h", "h:1", "http://", "http:///x", "http://:80", "http://h:0", "http://h:65536", "http://h:x", "http://["],
)
def test_text_without_a_host_or_with_an_invalid_port_is_not_a_url(text: str) -> None:
    assert parse_url(text) is None


def test_scheme_must_be_one_of_those_given() -> None:
    assert parse_url("ftp://h", ("http", "https")) is None
    assert parse_url("HTTPS://h", ("http", "https")) is not None
