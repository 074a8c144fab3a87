"""The files generated from the alert declarations are up to date, and inconsistent declarations are errors."""

import pytest

from monitoring.alerts import ALERTS, minimum, threshold
from monitoring.alerts.declaration import PUBLISHED, Alert, Panel, Threshold, days, more_than, number, ratio, seconds
from monitoring.alerts.files import INDEX, RULES, THRESHOLDS, templates, with_index, with_thresholds
from tests.contract.rule_files import ALERTS as READ
from tools.checks.promql import seconds as duration
from trust_ops.site_config.rule_templates import TEMPLATES, dumped, rule_file, rule_groups


def declared(expression: str, **more: Threshold) -> Alert:
    panel = Panel("operational", 1)
    return Alert(
        name="TrustExample",
        reason="",
        expression=expression,
        panel=panel,
        summary="",
        description="above $threshold",
        **more,  # type: ignore[arg-type]
    )


def test_the_templates_of_the_rules_are_up_to_date() -> None:
    assert dumped(templates()) == TEMPLATES.read_text(encoding="utf-8")


def test_the_published_rule_file_is_what_a_site_without_changes_gets() -> None:
    assert rule_file(rule_groups(), PUBLISHED) == RULES.read_text(encoding="utf-8")


def test_the_list_of_alerts_in_the_runbooks_is_up_to_date() -> None:
    page = INDEX.read_text(encoding="utf-8")
    assert with_index(page) == page


def test_the_list_of_thresholds_is_up_to_date() -> None:
    page = THRESHOLDS.read_text(encoding="utf-8")
    assert with_thresholds(page) == page


def test_a_page_without_the_marks_is_an_error() -> None:
    with pytest.raises(ValueError, match="markers around the table"):
        with_index("# Runbooks\n")


def test_the_rule_file_has_the_declared_values() -> None:
    assert [(rule.name, rule.source.strip(), rule.labels, rule.annotations) for rule in READ] == [
        (alert.name, alert.promql, alert.labels, alert.annotations) for alert in ALERTS
    ]
    assert [(rule.wait, rule.keep_firing) for rule in READ] == [
        (duration(alert.wait or "0s"), duration(alert.keep_firing or "0s")) for alert in ALERTS
    ]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_has_a_reason(alert: Alert) -> None:
    assert len(alert.reason.split()) > 2


def test_a_threshold_is_in_the_expression_and_the_description() -> None:
    alert = declared("errors > $threshold and count >= $minimum", threshold=ratio(0.05), minimum=number(3))
    assert alert.promql == "errors > 0.05 and count >= 3"
    assert alert.annotations["description"] == "above 5 %"


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [("up == 0", {"threshold": number(1)}), ("up == $threshold", {}), ("a > $threshold", {"minimum": number(1)})],
)
def test_a_missing_or_unused_number_is_an_error(expression: str, numbers: dict[str, Threshold]) -> None:
    with pytest.raises(ValueError, match="TrustExample has values for"):
        declared(expression, **numbers)


@pytest.mark.parametrize(
    ("written", "value", "promql", "text"),
    [
        (number(3), 3, "3", "3"),
        (more_than(10), 11, "11", "10"),
        (ratio(0.001), 0.001, "0.001", "0.1 %"),
        (seconds(2), 2, "2", "2 s"),
        (days(7), 604800, "7 * 86400", "7 days"),
    ],
)
def test_a_threshold_is_written_in_the_unit_of_its_reader(
    written: Threshold, value: float, promql: str, text: str
) -> None:
    assert (written.value, written.promql, written.text) == (value, promql, text)


def test_a_threshold_is_read_as_a_value() -> None:
    assert threshold("TrustServiceHighErrorRate") == 0.05
    assert minimum("TrustServiceHighErrorRate") == 3


def test_the_severity_distinguishes_alerts_with_one_name() -> None:
    assert threshold("TrustCertificateExpiring", "critical") == float(7 * 86400)
    assert threshold("TrustCertificateExpiring", "warning") == float(30 * 86400)


@pytest.mark.parametrize(
    ("name", "found"), [("TrustNoSuchAlert", 0), ("TrustServiceDown", 0), ("TrustCertificateExpiring", 2)]
)
def test_one_threshold_is_needed(name: str, found: int) -> None:
    with pytest.raises(LookupError, match=rf"{name} \(any severity\) has {found} values of threshold; one is needed"):
        threshold(name)
