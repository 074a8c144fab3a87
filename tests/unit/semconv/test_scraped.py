"""The metrics of exporters: parsing of the file, and its comparison with a running Prometheus."""

from pathlib import Path

import pytest

from trust_otel.semconv.scraped import ScrapedError, ScrapedLabel, ScrapedMetric, missing, read_scraped


class _Prometheus:
    def __init__(self, series: dict[str, list[dict[str, str]]]) -> None:
        self._series = series

    def series(self, match: str) -> list[dict[str, str]]:
        return self._series.get(match, [])


_FILE = """
exporters:
  - job: node
    labels: {device: any}
    metrics:
      sent_total: {type: counter, labels: {direction: [in, out]}}
      lost_total: {type: counter, after: a packet is lost, from_zero: false}
  - metrics:
      up: {type: gauge, maximum: 1, labels: {zone: optional}}
"""


def _file(folder: Path, content: str = _FILE) -> Path:
    path = folder / "scraped.yaml"
    path.write_text(content)
    return path


def test_file_is_read(tmp_path: Path) -> None:
    assert read_scraped(_file(tmp_path)) == {
        "sent_total": ScrapedMetric(
            "sent_total", "counter", "node", (ScrapedLabel("device"), ScrapedLabel("direction", ("in", "out")))
        ),
        "lost_total": ScrapedMetric(
            "lost_total", "counter", "node", (ScrapedLabel("device"),), after="a packet is lost", from_zero=False
        ),
        "up": ScrapedMetric("up", "gauge", None, (ScrapedLabel("zone", optional=True),), maximum=1),
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("exporters: [{metrics: {a: {type: summary}}}]", "a: type must be one of counter, gauge"),
        ("exporters: [{metrics: {a: {type: gauge, unit: s}}}]", "a: unknown keys unit"),
        ("exporters: [{metrics: {a: {type: gauge, labels: {b: some}}}}]", "a: label b must be"),
        ("exporters: [{metrics: {a: {type: gauge}}}, {metrics: {a: {type: gauge}}}]", "a is a duplicate"),
    ],
)
def test_error_names_the_metric(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(ScrapedError, match=said):
        read_scraped(_file(tmp_path, content))


def _differences(tmp_path: Path, series: dict[str, list[dict[str, str]]]) -> list[str]:
    return missing(_Prometheus(series), ["node"], _file(tmp_path))


_SENT = 'sent_total{job="node"}'
_LOST = 'lost_total{job="node"}'
_GOOD = {"__name__": "sent_total", "job": "node", "instance": "a", "device": "eth0", "direction": "in"}


def test_nothing_is_missing_if_all_is_as_declared(tmp_path: Path) -> None:
    assert _differences(tmp_path, {_SENT: [_GOOD, {**_GOOD, "direction": "out"}]}) == []


@pytest.mark.parametrize(
    ("series", "said"),
    [
        ({}, "sent_total: job node has no series"),
        ({_SENT: [_GOOD, {**_GOOD, "zone": "a"}]}, "sent_total: label zone is not declared"),
        ({_SENT: [{**_GOOD, "direction": "up"}]}, "sent_total: label direction has the undeclared values ['up']"),
        (
            {_SENT: [{name: value for name, value in _GOOD.items() if name != "device"}]},
            "sent_total: label device is not on every series",
        ),
        ({_SENT: [_GOOD], _LOST: [{"device": "a", "why": "b"}]}, "lost_total: label why is not declared"),
    ],
)
def test_each_difference_is_reported(tmp_path: Path, series: dict[str, list[dict[str, str]]], said: str) -> None:
    assert _differences(tmp_path, series) == [said]


def test_the_file_of_the_project_is_read() -> None:
    assert read_scraped()["up"].job is None
