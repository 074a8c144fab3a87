"""Inferred labels of query results."""

import pytest

from tests.unit.checks.sample_vocabulary import VOCABULARY
from tools.checks.label_inference import identity, kind_of, labels_of, vector_labels
from tools.checks.promql import PromqlError, parse
from tools.checks.vocabulary import Label, UnknownSeriesError

_SERVICE = {"service_name", "service_instance_id", "deployment_environment_name", "service_namespace"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("healthy", {*_SERVICE, "target"}),
        ('used_bytes{disk=""}', {"instance"}),
        ("sum(requests_total)", set()),
        ("sum by (method, code, nothing) (requests_total)", {"method", "code"}),
        ("sum without (service_instance_id) (sessions)", _SERVICE - {"service_instance_id"}),
        ("topk(3, used_bytes)", {"instance", "disk"}),
        ("topk by (disk) (3, used_bytes)", {"instance", "disk"}),
        ('count_values("version", used_bytes)', {"version"}),
        ("rate(requests_total[5m])", {*_SERVICE, "method", "code"}),
        ("max_over_time(sum by (code) (requests_total)[1h:1m])", {"code"}),
        ("quantile_over_time(0.9, used_bytes[1h])", {"instance", "disk"}),
        ("used_bytes / size_bytes", {"instance", "disk"}),
        ("used_bytes / on (disk) size_bytes", {"disk"}),
        ("used_bytes / ignoring (disk) info", {"instance"}),
        ("used_bytes * on (instance) group_left (version) info", {"instance", "disk", "version"}),
        ("info * on (instance) group_right (version) used_bytes", {"instance", "disk", "version"}),
        ("used_bytes > 5", {"instance", "disk"}),
        ("5 < used_bytes", {"instance", "disk"}),
        ("1 - used_bytes", {"instance", "disk"}),
        ("used_bytes and on (instance) info", {"instance", "disk"}),
        ("used_bytes unless info", {"instance", "disk"}),
        ("used_bytes or info", {"instance", "disk", "version"}),
        ('absent(used_bytes{disk="a", instance=~"b", disk!="c"})', set()),
        ('absent(used_bytes{disk="a", instance=~"b"})', {"disk"}),
        ("absent(sum(used_bytes))", set()),
        ('absent_over_time(used_bytes{disk="a"}[5m])', {"disk"}),
        ("histogram_quantile(0.9, sum by (le, method) (rate(duration_seconds_bucket[5m])))", {"method"}),
        ('label_replace(info, "short", "$1", "version", "(.)")', {"instance", "version", "short"}),
        ('label_join(info, "both", "-", "instance", "version")', {"instance", "version", "both"}),
        ("vector(1)", set()),
        ("hour()", set()),
        ("hour(info)", {"instance", "version"}),
        ("-info", {"instance", "version"}),
        ("service:requests:rate5m", {"service_name"}),
    ],
)
def test_labels_of_results(source: str, expected: set[str]) -> None:
    assert set(vector_labels(parse(source), VOCABULARY)) == expected


@pytest.mark.parametrize("source", ["1", "time()", "scalar(info)", "1 + 2", "pi()"])
def test_scalars_have_no_labels(source: str) -> None:
    assert labels_of(parse(source), VOCABULARY) is None


@pytest.mark.parametrize(
    ("source", "label", "expected"),
    [
        ("requests_total", "code", Label(always=False, values=frozenset({"200", "404", "500", "503"}))),
        ('requests_total{code!=""}', "code", Label(values=frozenset({"200", "404", "500", "503"}))),
        ('requests_total{code=~"5.."}', "code", Label(values=frozenset({"500", "503"}))),
        ('requests_total{code!~"5.."}', "code", Label(always=False, values=frozenset({"200", "404"}))),
        ('requests_total{service_name="a"}', "service_name", Label(values=frozenset({"a"}))),
        ('requests_total{service_namespace=~".+"}', "service_namespace", Label()),
        ("used_bytes or info", "disk", Label(always=False)),
        ('used_bytes{disk="a"} or used_bytes{disk="b"}', "disk", Label(values=frozenset({"a", "b"}))),
        ('used_bytes / on (disk) size_bytes{disk="a"}', "disk", Label(values=frozenset({"a"}))),
        ('label_replace(info, "x", "fixed", "", "")', "x", Label(values=frozenset({"fixed"}))),
        ('label_replace(info, "x", "fixed", "version", "1.*")', "x", Label(always=False, values=frozenset({"fixed"}))),
        (
            'label_replace(requests_total{code=~"5.."}, "code", "none", "code", "")',
            "code",
            Label(values=frozenset({"500", "503", "none"})),
        ),
        ('label_replace(info, "x", "$1", "version", "(.+)")', "x", Label()),
        ('label_replace(sessions, "x", "$1", "service_namespace", "(.+)")', "x", Label(always=False)),
        ('absent(up{job="a"})', "job", Label(values=frozenset({"a"}))),
    ],
)
def test_presence_and_values_of_a_label(source: str, label: str, expected: Label) -> None:
    assert vector_labels(parse(source), VOCABULARY)[label] == expected


@pytest.mark.parametrize("source", ["info(up)", "histogram_avg(info)", "sum(nothing)"])
def test_unsupported_functions_and_unknown_series_are_errors(source: str) -> None:
    with pytest.raises((PromqlError, UnknownSeriesError)):
        labels_of(parse(source), VOCABULARY)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("requests_total", "counter"),
        ("sum(requests_total)", "counter"),
        ("used_bytes or requests_total", "counter"),
        ("requests_total and used_bytes", "counter"),
        ("requests_total unless used_bytes", "counter"),
        ("requests_total unless requests_total offset 5m", "gauge"),
        ("2 * requests_total", "counter"),
        ("requests_total * 0", "gauge"),
        ("max(last_over_time(requests_total[5m]))", "counter"),
        ("rate(requests_total[5m])", "gauge"),
        ("count(requests_total)", "gauge"),
        ("requests_total - requests_total", "gauge"),
        ("used_bytes", "gauge"),
    ],
)
def test_kind_of_a_result(source: str, expected: str) -> None:
    assert kind_of(parse(source), VOCABULARY) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # The instance determines the service, its namespace and the environment.
        ("sessions", {"service_instance_id"}),
        ("sum by (service_name, service_namespace) (sessions)", {"service_name", "service_namespace"}),
        ('used_bytes{disk="a"}', {"instance"}),
    ],
)
def test_labels_that_identify_a_series(source: str, expected: set[str]) -> None:
    labels = vector_labels(parse(source), VOCABULARY)
    assert identity(labels, VOCABULARY) == expected
