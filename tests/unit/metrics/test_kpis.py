"""KPIs of a service: the file that declares them, and what is recorded."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.collected import scraped
from tests.conftest import parsed
from trust_otel.metrics import TrustServiceMetrics
from trust_otel.metrics.business import BUILT_IN
from trust_otel.metrics.kpi import Kpi, read_kpis

CONTENT = """
[kpi.contracts_signed]
kind = "counter"
attributes = ["country", "trust.client.name"]

[kpi.open_orders]
kind = "gauge"
attributes = ["currency"]

[kpi.visits]
kind = "counter"
"""
SIGNED = Kpi("contracts_signed", "counter", frozenset({"geo.country.iso_code", "trust.client.name"}))
OPEN = Kpi("open_orders", "gauge", frozenset({"trust.currency"}))
VISITS = Kpi("visits", "counter")

Read = Callable[[str | bytes], tuple[Kpi, ...]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(content: str | bytes) -> tuple[Kpi, ...]:
        path = tmp_path / "kpis.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_kpis(path)

    return read


@pytest.fixture
def declared(record: Callable[..., Any]) -> Any:
    recording = record(client_names=frozenset({"acme"}))
    recording.recorder.business.set_kpis([SIGNED, OPEN, VISITS])
    return recording


class TestFile:
    @pytest.mark.parametrize("content", [CONTENT, CONTENT.replace("\n", "\r\n"), "\ufeff" + CONTENT])
    def test_kpis_are_read(self, read: Read, content: str) -> None:
        assert read(content) == (SIGNED, OPEN, VISITS)

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            ("", "the file declares no KPI; write [kpi.NAME], or unset TRUST_OTEL_BUSINESS_METRICS_FILE"),
            ("[kpi]", "the file declares no KPI"),
            ("kpi = 3", "the file declares no KPI"),
            ("x = 3", "'x' = 3 belongs to no KPI; write KPIs as [kpi.NAME]"),
            (
                "[sla.fast]\nobjective = 1\n[kpi.a]\nkind = 'gauge'",
                "'sla' = {'fast': {'objective': 1}} belongs to no KPI",
            ),
            ("[kpi.a]", "KPI 'a': kind = nothing is not usable; set counter for amounts that add up"),
            ("[kpi.a]\nkind = 'count'", "KPI 'a': kind = 'count' is not usable (perhaps 'counter'); set counter"),
            ("[kpi.a]\nkind = ['gauge']", "KPI 'a': kind = ['gauge'] is not usable"),
            (
                "[kpi.a]\nkind = 'gauge'\nlabels = []",
                "KPI 'a': there is no key 'labels'; the keys are kind, attributes",
            ),
            ("[kpi.a]\nKind = 'gauge'", "there is no key 'Kind' (perhaps 'kind'); the keys are kind, attributes"),
            ("[kpi.a]\nkind = 'gauge'\nattributes = 'country'", "attributes = 'country' is no list; write attributes"),
            (
                "[kpi.a]\nkind = 'gauge'\nattributes = ['contry']",
                "KPI 'a': there is no attribute 'contry' (perhaps 'country'); take some of currency, country, client",
            ),
            ("[kpi.a]\nkind = 'gauge'\nattributes = [7]", "KPI 'a': there is no attribute 7"),
            ("[kpi]\na = 7", "KPI 'a': 7 is not a table; write [kpi.NAME] and its keys below"),
            (
                "[kpi.revenue]\nkind = 'counter'",
                "KPI 'revenue': this business metric exists already; take another name",
            ),
            ("[kpi.'open orders']\nkind = 'gauge'", "KPI 'open orders': take a name of a letter and up to 63 letters"),
            ("[kpi.'']\nkind = 'gauge'", "KPI '': take a name"),
            ("[kpi.'erika@example.org']\nkind = 'gauge'", "KPI a text that looks private: take a name"),
            ("[kpi.a]\nkind = ", "the file is not TOML: "),
            ("[kpi.a]\nkind = 'gauge'\n\n[kpi.a]\nkind = 'gauge'", "line 4"),
            (b"[kpi.\xff]", "byte 5 is not UTF-8; save the file as UTF-8"),
            ("".join(f"[kpi.k{n}]\nkind = 'gauge'\n" for n in range(51)), "51 KPIs are too many; at most 50"),
        ],
    )
    def test_problem_is_named_with_its_value_and_a_fix(self, read: Read, content: str | bytes, problem: str) -> None:
        with pytest.raises(ValueError, match=re.escape(problem)):
            read(content)

    def test_message_names_at_most_five_problems(self, read: Read) -> None:
        with pytest.raises(ValueError, match=r"and 3 more$"):
            read("".join(f"[kpi.k{number}]\n" for number in range(8)))

    def test_built_in_names_need_no_declaration(self, recording: Any) -> None:
        for name in BUILT_IN:
            recording.metrics.record_business_metric(name, 1)
        assert recording.dropped() == {}


class TestRecording:
    def test_counter_adds_up_by_its_attributes(self, declared: Any) -> None:
        metrics = declared.metrics
        for _ in range(2):
            metrics.record_business_metric("contracts_signed", 1.5, {"country": "DE", "client": "acme"})
        metrics.record_business_metric("contracts_signed", 1, {"geo.country.iso_code": "DE", "trust.client.name": "x"})
        assert sorted((labels["trust.client.name"], point.value) for labels, point in self._signed(declared)) == [
            ("_other", 1),
            ("acme", 3),
        ]
        assert declared.dropped() == {}

    def _signed(self, recording: Any) -> list[tuple[dict[str, Any], Any]]:
        found: list[tuple[dict[str, Any], Any]] = recording.series(
            "trust.kpi.amount", {"trust.kpi.name": "contracts_signed"}
        )
        return found

    @pytest.mark.parametrize("value", [0, -3, 2.5, Decimal("7.5")])
    def test_gauge_has_the_last_value(self, declared: Any, value: Any) -> None:
        declared.metrics.record_business_metric("open_orders", 100, {"currency": "EUR"})
        declared.metrics.bind_business_metric("open_orders", {"currency": "EUR"})(value)
        ((labels, point),) = declared.series("trust.kpi.value")
        assert labels == {"trust.kpi.name": "open_orders", "trust.currency": "EUR"}
        assert point.value == float(value)

    def test_counter_without_attributes_is_0_from_the_start(self, declared: Any) -> None:
        assert declared.labels("trust.kpi.amount") == [{"trust.kpi.name": "visits"}]
        assert declared.value("trust.kpi.amount") == 0

    def test_service_without_kpis_has_no_series(self, recording: Any) -> None:
        recording.metrics.record_business_metric("revenue", 1)
        assert "trust_kpi" not in scraped(recording)

    def test_names_in_prometheus(self, declared: Any) -> None:
        declared.metrics.record_business_metric("visits", 3)
        declared.metrics.record_business_metric("open_orders", 2, {"currency": "EUR"})
        samples = {
            (name, dict(labels).get("trust_kpi_name")): value
            for (name, labels), value in parsed(scraped(declared)).items()
            if name.startswith("trust_kpi")
        }
        assert samples == {("trust_kpi_amount_total", "visits"): 3, ("trust_kpi_value", "open_orders"): 2}

    def test_series_of_a_client_that_sends_any_attribute_are_bounded(self, declared: Any) -> None:
        for number in range(3000):
            declared.metrics.record_business_metric("contracts_signed", 1, {"country": f"{number}", "x": number})
        assert declared.value("trust.kpi.amount", {"trust.kpi.name": "contracts_signed"}) == 3000
        assert self._signed(declared)[0][0]["geo.country.iso_code"] == "_other"
        assert len(self._signed(declared)) == 1

    def test_another_object_of_the_process_records_them_too(self, declared: Any) -> None:
        TrustServiceMetrics(declared.provider).record_business_metric("visits", 2)
        assert declared.value("trust.kpi.amount") == 2


class TestRefused:
    def _log(self, caplog: pytest.LogCaptureFixture) -> str:
        (message,) = caplog.messages
        return message

    @pytest.mark.parametrize("name", ["contract_signed", "Visits", "open_orders "])
    def test_undeclared_name_is_logged_once(self, declared: Any, caplog: pytest.LogCaptureFixture, name: str) -> None:
        for _ in range(3):
            declared.metrics.record_business_metric(name, 1)
        assert declared.dropped() == {"unknown_metric": 3}
        message = self._log(caplog)
        assert name in message or "not shown" in message
        assert "visits; declare others in TRUST_OTEL_BUSINESS_METRICS_FILE" in message

    @pytest.mark.parametrize("attribute", ["currency", "channel", "trust.document.type"])
    def test_undeclared_attribute_is_left_out_and_logged_once(
        self, declared: Any, caplog: pytest.LogCaptureFixture, attribute: str
    ) -> None:
        for _ in range(3):
            declared.metrics.record_business_metric("visits", 1, {attribute: "EUR"})
        assert declared.value("trust.kpi.amount", {"trust.kpi.name": "visits"}) == 3
        assert declared.dropped() == {"unknown_attribute": 3}
        message = self._log(caplog)
        assert "KPI 'visits' has no attribute '" in message
        assert "declare it in TRUST_OTEL_BUSINESS_METRICS_FILE" in message

    @pytest.mark.parametrize("value", [None, "3", float("nan"), float("inf"), True, [1]])
    @pytest.mark.parametrize("name", ["visits", "open_orders"])
    def test_value_that_is_no_number_is_logged_once(
        self, declared: Any, caplog: pytest.LogCaptureFixture, name: str, value: Any
    ) -> None:
        for _ in range(3):
            declared.metrics.record_business_metric(name, value)
        assert declared.dropped() == {"invalid_value": 3}
        assert f"KPI '{name}' takes a finite number" in self._log(caplog)

    def test_negative_amount_of_a_counter_is_logged_once(self, declared: Any, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(3):
            declared.metrics.record_business_metric("visits", -1)
        assert declared.dropped() == {"negative_value": 3}
        assert "KPI 'visits' takes only amounts of 0 or more; set kind = \"gauge\"" in self._log(caplog)

    def test_log_of_many_names_is_bounded(self, declared: Any, caplog: pytest.LogCaptureFixture) -> None:
        for number in range(500):
            declared.metrics.record_business_metric(f"kpi_{number}", 1)
        assert declared.dropped() == {"unknown_metric": 500}
        assert 0 < len(caplog.messages) <= 100


class TestChange:
    def test_removed_gauge_has_no_series_and_its_name_is_unknown(self, declared: Any) -> None:
        record = declared.metrics.bind_business_metric("open_orders")
        record(3)
        declared.recorder.business.set_kpis([VISITS])
        assert declared.series("trust.kpi.value") == []
        record(4)
        assert declared.series("trust.kpi.value") == []
        assert declared.dropped() == {"unknown_metric": 1}

    def test_counter_keeps_counting(self, declared: Any) -> None:
        declared.metrics.record_business_metric("visits", 3)
        declared.recorder.business.set_kpis([VISITS, SIGNED])
        declared.metrics.record_business_metric("visits", 4)
        assert declared.value("trust.kpi.amount") == 7

    def test_handle_bound_before_the_declaration_records_after_it(self, recording: Any) -> None:
        record = recording.metrics.bind_business_metric("visits")
        record(1)
        recording.recorder.business.set_kpis([VISITS])
        record(2)
        assert recording.value("trust.kpi.amount") == 2
        assert recording.dropped() == {"unknown_metric": 1}

    def test_counter_that_becomes_a_gauge(self, declared: Any) -> None:
        declared.metrics.record_business_metric("visits", 3)
        declared.recorder.business.set_kpis([Kpi("visits", "gauge")])
        declared.metrics.record_business_metric("visits", -2)
        assert declared.value("trust.kpi.value") == -2
