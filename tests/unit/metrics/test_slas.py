"""Service level agreements: the SLA file and the evaluation of events."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trust_otel import TrustServiceMetrics
from trust_otel.metrics.sla import Sla, read_slas
from trust_otel.semconv.metrics import TRUST_CERTIFICATE_OPERATION_DURATION

VALIDATION = """
[sla.validation_fast]
metric = "trust.certificate.operation.duration"
where = { "trust.certificate.operation" = "validation" }
failed = { "trust.outcome" = "error" }
threshold = 0.5
objective = 0.99
"""

AVAILABLE = """
[sla.available]
metric = "http.server.request.duration"
failed = { "http.response.status_code" = "5*" }
objective = 0.999
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str | bytes], tuple[Sla, ...]]:
    def read(content: str | bytes) -> tuple[Sla, ...]:
        path = tmp_path / "sla.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_slas(path)

    return read


Read = Callable[[str | bytes], tuple[Sla, ...]]


def evaluated(recording: Any, name: str) -> tuple[float, float]:
    """How many events met the SLA, and how many did not."""
    met, failed = (
        recording.value("trust.sla.events", {"trust.sla.name": name, "trust.outcome": outcome})
        for outcome in ("success", "failure")
    )
    return met, failed


class TestFile:
    def test_sla_is_read(self, read: Read) -> None:
        assert read(VALIDATION) == (
            Sla(
                "validation_fast",
                "trust.certificate.operation.duration",
                objective=0.99,
                where={"trust.certificate.operation": ("validation",)},
                failed={"trust.outcome": ("error",)},
                threshold=0.5,
            ),
        )

    def test_several_slas_keep_their_order(self, read: Read) -> None:
        assert [sla.name for sla in read(VALIDATION + AVAILABLE)] == ["validation_fast", "available"]

    @pytest.mark.parametrize(
        "where",
        [
            '{ "http.response.status_code" = [500, "503"] }',
            "{ http.response.status_code = [500, 503] }",
        ],
        ids=["quoted", "dotted"],
    )
    def test_quoted_and_dotted_labels_with_a_list_of_values(self, read: Read, where: str) -> None:
        (sla,) = read(AVAILABLE.replace('{ "http.response.status_code" = "5*" }', where))
        assert sla.failed == {"http.response.status_code": ("500", "503")}

    @pytest.mark.parametrize("content", [b"\xef\xbb\xbf" + AVAILABLE.encode(), AVAILABLE.replace("\n", "\r\n")])
    def test_byte_order_mark_and_windows_line_endings_are_accepted(self, read: Read, content: str | bytes) -> None:
        assert [sla.name for sla in read(content)] == ["available"]

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ('metric = "trust.certificate.duration"', ["'trust.certificate.duration'", "take one of"]),
            ('metric = "trust.auth.attempts"', ["'trust.auth.attempts'", "cannot have an SLA"]),
            ('metric = "trust.customer.satisfaction"', ["cannot have an SLA"]),
            ("metric = 1", ["metric = 1"]),
            ('where = { "trust.outcom" = "error" }', ["'trust.outcom'", "perhaps 'trust.outcome'"]),
            ('where = { "trust.outcome" = "eror" }', ["'eror'", "success, failure, error"]),
            ('where = { "trust.outcome" = "x*" }', ["'x*'"]),
            ('where = { "trust.outcome" = [] }', ["no value"]),
            ('where = { "trust.outcome" = true }', ["True"]),
            ('where = { "trust.outcome" = [["error"]] }', ["['error']"]),
            ('where = { "trust.outcome" = 2.5 }', ["2.5"]),
            ('where = "validation"', ["where = 'validation'", "LABEL = VALUE"]),
            ('failed = { "user.id" = "1" }', ["failed", "'user.id'"]),
            ("failed = 5", ["failed = 5"]),
            ('threshold = "fast"', ["threshold = 'fast'", "seconds"]),
            ("threshold = 0", ["threshold = 0"]),
            ("threshold = -1", ["threshold = -1"]),
            ("threshold = nan", ["threshold = nan"]),
            ("threshold = inf", ["threshold = inf"]),
            ("threshold = true", ["threshold = True"]),
            ("objective = 99", ["objective = 99", "0.99"]),
            ("objective = 0", ["objective = 0"]),
            ("objective = -0.1", ["objective = -0.1"]),
            ("objective = 1.01", ["objective = 1.01"]),
            ("objective = nan", ["objective = nan"]),
            ('objective = "99 %"', ["objective = '99 %'"]),
            ("treshold = 1", ["'treshold'", "perhaps 'threshold'"]),
        ],
    )
    def test_invalid_entry_is_reported_with_a_suggested_fix(self, read: Read, line: str, words: list[str]) -> None:
        key = line.split(" = ")[0]
        kept = [each for each in VALIDATION.strip().splitlines() if not each.startswith(key)]
        with pytest.raises(ValueError, match="validation_fast") as raised:
            read("\n".join([*kept, line]))
        for word in words:
            assert word in str(raised.value)

    @pytest.mark.parametrize("key", ["metric", "objective"])
    def test_missing_key_is_reported(self, read: Read, key: str) -> None:
        content = "\n".join(line for line in VALIDATION.splitlines() if not line.startswith(key))
        with pytest.raises(ValueError, match=f"{key} = nothing"):
            read(content)

    def test_sla_without_threshold_or_failed_is_rejected(self, read: Read) -> None:
        with pytest.raises(ValueError, match="set threshold or failed"):
            read('[sla.a]\nmetric = "http.server.request.duration"\nobjective = 0.9')

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", "no SLA"),
            ("# nothing yet\n", "no SLA"),
            ("[sla]\n", "no SLA"),
            ("sla = 1", "no SLA"),
            ("[slas.a]\nobjective = 1", "'slas' = "),
            ("[sla]\na = 1", "not a table"),
            ("[sla.a]\n[sla.a]\n", "not TOML"),
            ("{}", "not TOML"),
            ("a: b", "not TOML"),
            ("x = " + "[" * 20_000, "not TOML"),
            ("x = " + "1" * 10_000, "not TOML"),
            (b"[sla.a]\nmetric = '\xff'", "UTF-8"),
            (b"\0" * 10, "not TOML"),
            ("#" * 300_000, "at most 262144"),
            (VALIDATION.replace("validation_fast", '"erika@example.org"'), "name of letters"),
            (VALIDATION.replace("validation_fast", '""'), "name of letters"),
            (VALIDATION.replace("validation_fast", '"a b"'), "name of letters"),
            ("".join(VALIDATION.replace("validation_fast", f"a{number}") for number in range(51)), "too many"),
        ],
        ids=range(18),
    )
    def test_invalid_file_is_rejected(self, read: Read, content: str | bytes, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            read(content)

    def test_error_message_lists_the_first_problems_and_their_number(self, read: Read) -> None:
        with pytest.raises(ValueError, match="and 35 more") as raised:
            read("".join(f"[sla.a{number}]\nx = '{'y' * 1000}'\n" for number in range(10)))
        assert len(str(raised.value)) < 2000

    def test_missing_or_special_file_is_rejected(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for path, words in (
            (tmp_path / "missing.toml", "No such file"),
            (tmp_path, "not a regular file"),
            (tmp_path / "pipe", "not a regular file"),
            (Path("/dev/zero"), "not a regular file"),
        ):
            with pytest.raises((OSError, ValueError), match=words):
                read_slas(path)


def record_validation(recording: Any, seconds: Any) -> None:
    """Record a validation that took a number of seconds."""
    duration = recording.recorder.instruments.histogram(TRUST_CERTIFICATE_OPERATION_DURATION)
    duration(seconds, {"trust.certificate.operation": "validation", "trust.outcome": "success"})


class TestEvaluation:
    def test_event_up_to_the_threshold_meets_the_sla(self, recording: Any, read: Read) -> None:
        recording.recorder.business.set_slas(read(VALIDATION.replace("failed", "#")))
        for seconds in (0, 0.5, 0.50001, 30):
            record_validation(recording, seconds)
        assert evaluated(recording, "validation_fast") == (2, 2)

    def test_only_selected_events_are_evaluated(self, recording: Any, read: Read) -> None:
        recording.recorder.business.set_slas(read(VALIDATION))
        for operation in ("validation", "signing", "validation"):
            with recording.metrics.certificate_operation(operation):
                pass
        recording.metrics.document_processing("passport").__enter__().__exit__(None, None, None)
        assert evaluated(recording, "validation_fast") == (2, 0)

    def test_fast_event_with_error_outcome_does_not_meet_the_sla(self, recording: Any, read: Read) -> None:
        recording.recorder.business.set_slas(read(VALIDATION))
        with pytest.raises(OSError, match="gone"), recording.metrics.certificate_operation("validation"):
            raise OSError("gone")
        with recording.metrics.certificate_operation("validation") as operation:
            operation.fail("expired")  # outcome failure, not error: meets the SLA
        assert evaluated(recording, "validation_fast") == (1, 1)

    def test_availability_sla_without_threshold(self, recording: Any, read: Read) -> None:
        recording.recorder.business.set_slas(read(AVAILABLE))
        for status in (200, 404, 500, 503, None):
            recording.recorder.http.http_request(method="GET").finish(route="/", status_code=status)
        assert evaluated(recording, "available") == (3, 2)

    def test_event_without_the_selected_label_is_not_evaluated(self, recording: Any, read: Read) -> None:
        recording.recorder.business.set_slas(read(AVAILABLE + 'where = { "http.route" = "/*" }'))
        recording.recorder.http.http_request(method="GET").finish(status_code=500)
        recording.recorder.http.http_request(method="GET").finish(route="/a", status_code=500)
        assert evaluated(recording, "available") == (0, 1)

    def test_where_matches_the_cleaned_label_values(self, record: Callable[..., Any], read: Read) -> None:
        recording = record(document_types=frozenset({"passport"}))
        content = VALIDATION.replace("trust.certificate.operation.duration", "trust.document.processing.duration")
        recording.recorder.business.set_slas(
            read(content.replace('"trust.certificate.operation" = "validation"', '"trust.document.type" = "_other"'))
        )
        for document_type in ("passport", "Erika Mustermann", "unlisted"):
            with recording.metrics.document_processing(document_type):
                pass
        assert evaluated(recording, "validation_fast") == (2, 0)

    def test_declared_sla_starts_both_outcomes_at_zero_and_exports_its_objective(
        self, recording: Any, read: Read
    ) -> None:
        recording.recorder.business.set_slas(read(VALIDATION + AVAILABLE))
        assert len(recording.series("trust.sla.events")) == 4
        assert recording.value("trust.sla.events") == 0
        assert recording.value("trust.sla.objective", {"trust.sla.name": "available"}) == 0.999

    def test_event_is_evaluated_by_every_matching_sla(self, recording: Any, read: Read) -> None:
        strict = VALIDATION.replace("validation_fast", "all_fast").replace("where", "#").replace("0.5", "0.1")
        recording.recorder.business.set_slas(read(VALIDATION + strict))
        record_validation(recording, 0.3)
        assert evaluated(recording, "validation_fast") == (1, 0)
        assert evaluated(recording, "all_fast") == (0, 1)

    def test_changed_sla_applies_immediately_to_known_labels(self, recording: Any, read: Read) -> None:
        recording.recorder.business.set_slas(read(VALIDATION))
        record_validation(recording, 0.3)
        recording.recorder.business.set_slas(read(VALIDATION.replace("0.5", "0.2").replace("0.99", "0.9")))
        record_validation(recording, 0.3)
        assert evaluated(recording, "validation_fast") == (1, 1)
        assert recording.value("trust.sla.objective") == 0.9

    def test_removed_sla_is_not_evaluated_and_has_no_objective(self, recording: Any, read: Read) -> None:
        recording.recorder.business.set_slas(read(VALIDATION + AVAILABLE))
        recording.recorder.business.set_slas(read(AVAILABLE))
        with recording.metrics.certificate_operation("validation"):
            pass
        assert evaluated(recording, "validation_fast") == (0, 0)
        assert recording.labels("trust.sla.objective") == [{"trust.sla.name": "available"}]

    def test_dropped_measurement_is_not_evaluated(self, recording: Any, read: Read) -> None:
        recording.recorder.business.set_slas(read(VALIDATION))
        for amount in (float("nan"), -1, "fast"):
            record_validation(recording, amount)
        assert evaluated(recording, "validation_fast") == (0, 0)

    def test_concurrent_events_and_reloads_lose_no_events(self, recording: Any, read: Read) -> None:
        recording.recorder.business.set_slas(read(VALIDATION))

        def work() -> None:
            for _ in range(1000):
                record_validation(recording, 0.1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            recording.recorder.business.set_slas(read(VALIDATION))
        for thread in threads:
            thread.join()
        assert evaluated(recording, "validation_fast") == (4000, 0)


class TestSameNameInFileAndService:
    """The file takes precedence, so that no event is counted twice."""

    def test_event_recorded_by_the_service_is_ignored_and_logged_once(
        self, recording: Any, read: Read, caplog: pytest.LogCaptureFixture
    ) -> None:
        recording.recorder.business.set_slas(read(VALIDATION))
        other = TrustServiceMetrics(recording.provider)
        for metrics in (recording.metrics, recording.metrics, other):
            metrics.record_sla_event("validation_fast", met=False)
            metrics.set_sla_objective("validation_fast", 0.1)
        assert evaluated(recording, "validation_fast") == (0, 0)
        assert recording.value("trust.sla.objective") == 0.99
        assert caplog.text.count("TRUST_OTEL_SLA_FILE declares the SLA 'validation_fast'") == 2  # once per object

    def test_service_can_record_events_for_slas_not_in_the_file(self, recording: Any, read: Read) -> None:
        recording.recorder.business.set_slas(read(VALIDATION))
        recording.metrics.set_sla_objective("own", 0.5)
        recording.metrics.record_sla_event("own", met=True)
        recording.recorder.business.set_slas(())
        recording.metrics.record_sla_event("own", met=False)
        recording.metrics.record_sla_event("validation_fast", met=False)
        assert evaluated(recording, "own") == (1, 1)
        assert evaluated(recording, "validation_fast") == (0, 1)
        assert recording.labels("trust.sla.objective") == [{"trust.sla.name": "own"}]
