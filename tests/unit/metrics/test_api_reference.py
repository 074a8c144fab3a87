"""The API reference: an example of each public method, each of which works as it is written."""

import re
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

from trust_otel import TrustServiceMetrics

_PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
_EXAMPLES = dict(re.findall(r"^### `(\w+)`\n.*?^```python\n(.*?)^```\n", _PAGE, re.MULTILINE | re.DOTALL))
_PUBLIC = {name for name in vars(TrustServiceMetrics) if not name.startswith("_")}


def test_every_public_method_has_an_example_and_nothing_else_has() -> None:
    assert set(_EXAMPLES) == _PUBLIC


@pytest.mark.parametrize("name", sorted(_EXAMPLES))
def test_example_calls_its_method_and_nothing_is_dropped(
    recording: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    assert f"metrics.{name}(" in _EXAMPLES[name]
    exec(_EXAMPLES[name], {"metrics": recording.metrics})
    assert recording.dropped() == {}
    assert caplog.records == []


@pytest.mark.parametrize("name", sorted(_PUBLIC))
def test_method_is_documented_on_the_class_and_on_the_object(recording: Any, name: str) -> None:
    method = getattr(TrustServiceMetrics, name)
    assert method.__doc__
    assert getattr(recording.metrics, name).__doc__ == method.__doc__


def test_method_is_bound_once(recording: Any) -> None:
    assert recording.metrics.record_audit_event is recording.metrics.record_audit_event


def test_a_subclass_can_add_to_a_method(recording: Any) -> None:
    class Prefixed(TrustServiceMetrics):
        def record_audit_event(self, action: str, *, success: bool = True) -> None:
            super().record_audit_event(f"ca.{action}", success=success)

    Prefixed(recording.provider).record_audit_event("issue")
    assert recording.labels("trust.audit.events") == [{"trust.audit.action": "ca.issue", "trust.outcome": "success"}]


def test_a_services_test_can_replace_the_object_with_a_mock_of_the_same_methods() -> None:
    mock = create_autospec(TrustServiceMetrics, instance=True)
    mock.record_audit_event("read", success=True)
    mock.record_audit_event.assert_called_once_with("read", success=True)
    with pytest.raises(TypeError):
        mock.record_audit_event()
    with pytest.raises(AttributeError):
        mock.record_audit_events("read")
