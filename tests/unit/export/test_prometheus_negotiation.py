"""Format and encoding that the endpoint chooses from the headers of a request."""

import pytest

from trust_otel.export.prometheus.exposition import OPEN_METRICS, TEXT, Format
from trust_otel.export.prometheus.negotiation import accepts_gzip, chosen_format

_PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
_PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
_WITH_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," + _PROMETHEUS_3
)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT),
        (_PROMETHEUS_2, OPEN_METRICS),
        (_PROMETHEUS_3, OPEN_METRICS),
        (_WITH_PROTOBUF, OPEN_METRICS),
        ("application/openmetrics-text", OPEN_METRICS),
        ('application/openmetrics-text; version="1.0.0"; charset=utf-8', OPEN_METRICS),
        ("APPLICATION/OpenMetrics-Text; Version=1.0.0; Q=1", OPEN_METRICS),
        ("application/*", OPEN_METRICS),
        ("application/openmetrics-text, text/plain", OPEN_METRICS),
        ("text/plain, application/openmetrics-text", TEXT),
        ("*/*, application/openmetrics-text", OPEN_METRICS),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.3", TEXT),
        ("application/openmetrics-text;q=0.2, */*;q=0.3", TEXT),
        ("application/openmetrics-text;version=2.0.0, text/plain;q=0.1", TEXT),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("text/plain;q=0, application/openmetrics-text;q=0.1", OPEN_METRICS),
        ("text/plain;q=0, */*;q=0.1", OPEN_METRICS),
        ("application/openmetrics-text;q=0, */*", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0.1, application/openmetrics-text, text/plain;q=0.5", TEXT),
        ('text/plain;note="a,b;q=0", application/openmetrics-text;q=0.5', TEXT),
        ("application/openmetrics-text;q=high", TEXT),
        ("application/openmetrics-text;q=2", TEXT),
        ("application/json", TEXT),
        (",;,=;q=,", TEXT),
        ('"', TEXT),
        ("*/*;q=0", TEXT),
    ],
)
def test_format_has_the_highest_quality(accept: str, chosen: Format) -> None:
    assert chosen_format(accept) is chosen


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("zstd, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity", False),
        ("gzip;q=maybe", False),
    ],
)
def test_gzip_is_used_only_if_it_is_accepted(accept_encoding: str, accepted: bool) -> None:
    assert accepts_gzip(accept_encoding) is accepted
