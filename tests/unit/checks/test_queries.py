"""Each check of a query, with queries that fail it and queries that pass."""

import pytest

from tests.unit.checks.sample_vocabulary import VOCABULARY
from tools.checks.queries import QUERY_CHECKS, check_query

_INVALID = [
    ("syntax", "sum(", "not PromQL"),
    ("syntax", "info(info)", "do not support the function info"),
    ("series", "request_total", "similar: requests_total"),
    ("series", 'requests_total{verb="GET"}', "no label verb"),
    ("series", 'requests_total{method="get"}', "never 'get'"),
    ("series", 'requests_total{method!="PUT"}', "never 'PUT'"),
    ("series", 'requests_total{code=~"5..|6.."}', "'6..'"),
    ("series", 'requests_total{code=~"5..", code!~"5.."}', "exclude each other"),
    ("labels", "sum by (verb) (requests_total)", "no label verb"),
    ("labels", "sum without (verb) (requests_total)", "no label verb"),
    ("labels", "sum by (method) (sum by (code) (requests_total))", "no label method"),
    ("labels", "used_bytes / on (instance, version) size_bytes", "no label version"),
    ("labels", "used_bytes / ignoring (version) size_bytes", "no label version"),
    ("labels", "used_bytes * on (instance) group_left (disc) info", "no label disc"),
    ("labels", 'label_replace(info, "a", "$1", "release", "(.*)")', "no label release"),
    ("labels", 'label_join(info, "a", "-", "instance", "release")', "no label release"),
    ("join", "used_bytes / info", "only the left side has the label disk"),
    ("join", "used_bytes and info", "only the left side has the label disk"),
    ("join", "sum by (method) (requests_total) / sum by (code) (requests_total)", "only the left side"),
    ("join", 'used_bytes{disk="a"} - used_bytes{disk="b"}', "disk is never equal"),
    ("join", "info / on (instance) used_bytes", "several series of the right side"),
    # Two versions of one instance overlap after an update.
    ("join", "used_bytes * on (instance) group_left (version) info", "they differ in version"),
    ("join", "used_bytes * on (disk) group_left () size_bytes", "several series of the right side"),
    ("join", "used_bytes / ignoring (disk) info", "several series of the left side"),
    ("rate", "rate(sessions[5m])", "needs a counter"),
    ("rate", "increase(service:requests:rate5m[5m])", "needs a counter"),
    ("rate", "deriv(requests_total[5m])", "needs a gauge"),
    ("rate", "rate(sum(requests_total)[5m:])", "misses counter resets"),
    ("counter", "requests_total > 100", "compares a counter"),
    ("counter", "100 < sum by (method) (requests_total)", "compares a counter"),
    ("range", "rate(requests_total[45s])", "fewer than 4 samples at an interval of 15 s"),
    ("range", "avg_over_time(used_bytes[30s])", "fewer than 4 samples at an interval of 10 s"),
    ("range", "last_over_time(sessions[20s])", "fewer than 2 samples"),
    ("range", "avg_over_time(service:requests:rate5m[30s])", "fewer than 4"),
    ("range", "avg_over_time(sum(sessions)[10m:5m])", "fewer than 4"),
    ("histogram", "histogram_quantile(0.9, sum by (method) (rate(duration_seconds_bucket[5m])))", "needs the label le"),
    ("histogram", "sum(rate(duration_seconds_bucket[5m])) > 5", "buckets are cumulative"),
    ("histogram", 'rate(duration_seconds_bucket{le="2"}[5m])', "2 and 2.0"),
    ("histogram", 'rate(duration_seconds_bucket{le=~"0.5|2.0"}[5m])', "2 and 2.0"),
    ("impossible", "service:errors_per_request:ratio_rate5m > 1", "never true"),
    ("impossible", "healthy == 2", "never true"),
    ("impossible", "count(healthy) == 0", "never true"),
    ("impossible", "sessions >= 0", "always true"),
    ("impossible", "histogram_quantile(0.9, sum by (le) (rate(duration_seconds_bucket[5m]))) > 2", "never true"),
    ("nan", "sum(rate(duration_seconds_sum[5m]) / rate(duration_seconds_count[5m]))", "may be 0"),
    ("nan", "max(used_bytes / size_bytes)", "may be 0"),
    ("regex", 'requests_total{method=~"GET"}', "use ="),
    ("regex", 'requests_total{method!~"GET"}', "use !="),
    ("regex", 'requests_total{code=~"^5..$"}', "are implicit"),
    ("regex", 'requests_total{service_name=~".*"}', 'service_name!=""'),
]

_VALID = [
    'rate(requests_total{method="GET", code=~"5..", service_name=~"a.*"}[1m])',
    'requests_total{code=~"5..|"} and on (service_instance_id) sessions',
    "sum without (code) (rate(requests_total[5m]))",
    'used_bytes / size_bytes > 0.9 or used_bytes{disk="a"} > 5',
    "used_bytes * on (instance) group_left () max by (instance) (info)",
    # The instance determines the service.
    "sessions / on (service_instance_id) sum by (service_instance_id) (healthy)",
    "sum by (service_name) (sessions) / on (service_name) service:requests:rate5m",
    "irate(requests_total[1m]) > 0 unless on (service_instance_id) sessions",
    "deriv(sessions[5m]) < 0",
    "predict_linear(used_bytes[1h], 4 * 3600) > 0",
    "changes(requests_total[5m]) > 3",
    "max_over_time(healthy[30s]) == 0",
    "max_over_time(sum(sessions)[1h:1m]) > 3",
    "avg_over_time(service:requests:rate5m[40s])",
    "histogram_quantile(0.95, sum by (method, le) (rate(duration_seconds_bucket[5m]))) > 1",
    'sum(rate(duration_seconds_bucket{le="0.5"}[5m]))',
    r'sum(rate(duration_seconds_bucket{le=~"2(\\.0)?"}[5m]))',
    "sum(rate(duration_seconds_sum[5m]) / (rate(duration_seconds_count[5m]) > 0))",
    "min(used_bytes / size_bytes)",
    "service:errors_per_request:ratio_rate5m > 14.4 * 0.01",
    "count(healthy == 0) > 2",
    "requests_total unless requests_total offset 5m",
    "time() - timestamp(sessions) > 60",
    "absent(sessions)",
    "vector(1)",
]


@pytest.mark.parametrize(("check", "source", "message"), _INVALID)
def test_an_invalid_query_is_reported(check: str, source: str, message: str) -> None:
    findings = [finding for finding in check_query(source, VOCABULARY) if finding.check == check]
    assert any(message in finding.message for finding in findings), check_query(source, VOCABULARY)


@pytest.mark.parametrize("source", _VALID)
def test_a_valid_query_passes(source: str) -> None:
    assert check_query(source, VOCABULARY) == []


def test_every_check_has_an_invalid_query() -> None:
    assert {check for check, _, _ in _INVALID} == {"syntax", *QUERY_CHECKS}


def test_an_unknown_metric_is_the_only_finding() -> None:
    (finding,) = check_query("rate(nothing[1s]) > 1 / info(up)", VOCABULARY)
    assert str(finding) == "series: unknown metric or recording rule nothing"
