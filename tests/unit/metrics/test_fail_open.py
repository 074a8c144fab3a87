"""A guarded method never raises into the service; its failures are counted and logged once."""

import logging

import pytest

from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.self_metrics import DroppedMeasurements


class Guarded:
    def __init__(self) -> None:
        self._dropped = DroppedMeasurements()

    @fail_open
    def divide(self, dividend: int, divisor: int) -> float:
        """Divide two numbers."""
        return dividend / divisor

    @fail_open
    def interrupt(self) -> None:
        raise KeyboardInterrupt

    def dropped(self) -> dict[object, float]:
        points = self._dropped.observe_dropped(None)  # type: ignore[arg-type]
        return {(point.attributes or {})["reason"]: point.value for point in points if point.value}


def test_result_and_docstring_are_preserved() -> None:
    assert Guarded().divide(6, divisor=3) == 2
    assert Guarded.divide.__doc__ == "Divide two numbers."


def test_failure_is_counted_and_its_location_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    guarded = Guarded()
    assert [guarded.divide(6, 0) for _ in range(3)] == [None] * 3
    assert guarded.dropped() == {"internal_error": 3}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "divide failed: ZeroDivisionError at " in record.getMessage()


def test_wrong_arguments_are_logged_with_the_expected_parameters(caplog: pytest.LogCaptureFixture) -> None:
    guarded = Guarded()
    assert guarded.divide(6, by=3) is None  # type: ignore[call-arg]
    assert guarded.dropped() == {"internal_error": 1}
    assert "divide was called with the wrong arguments; it takes dividend, divisor" in caplog.text


def test_keyboard_interrupt_is_not_caught() -> None:
    with pytest.raises(KeyboardInterrupt):
        Guarded().interrupt()
