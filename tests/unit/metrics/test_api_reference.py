"""The API reference has a working example of each public method."""

import re
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

from trust_otel import TrustServiceMetrics

_PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
_EXAMPLES = dict(re.findall(r"^### `(\w+)`\n.*?^```python\n(.*?)^```\n", _PAGE, re.MULTILINE | re.DOTALL))
_PUBLIC = {name for name in vars(TrustServiceMetrics) if not name.startswith("_")}


def test_examples_cover_exactly_the_public_methods() -> None:
    assert set(_EXAMPLES) == _PUBLIC


@pytest.mark.parametrize("name", sorted(_EXAMPLES))
def test_example_runs_without_dropped_measurements_or_log_records(
    recording: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert f"metrics.{name}(" in _EXAMPLES[name]
    exec(_EXAMPLES[name], {"metrics": recording.metrics})
    assert recording.dropped() == {}
    assert caplog.records == []


@pytest.mark.parametrize("name", sorted(_PUBLIC))
def test_class_and_instance_have_the_same_docstring(recording: Any, name: str) -> None:
    method = getattr(TrustServiceMetrics, name)
    assert method.__doc__
    assert getattr(recording.metrics, name).__doc__ == method.__doc__


def test_bound_method_is_cached(recording: Any) -> None:
    assert recording.metrics.record_audit_event is recording.metrics.record_audit_event


def test_subclass_can_override_a_method_and_call_super(recording: Any) -> None:
    class Prefixed(TrustServiceMetrics):
        def record_audit_event(self, action: str, *, success: bool = True) -> None:
            super().record_audit_event(f"ca.{action}", success=success)

    Prefixed(recording.provider).record_audit_event("issue")
    assert recording.labels("trust.audit.events") == [{"trust.audit.action": "ca.issue", "trust.outcome": "success"}]


def test_autospec_mock_has_the_methods_and_checks_their_signatures() -> None:
    mock = create_autospec(TrustServiceMetrics, instance=True)
    mock.record_audit_event("read", success=True)
    mock.record_audit_event.assert_called_once_with("read", success=True)
    with pytest.raises(TypeError):
        mock.record_audit_event()
    with pytest.raises(AttributeError):
        mock.record_audit_events("read")
