"""The order in which the rounds of a drill start and end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import SimpleNamespace
from typing import Any

from testbed.drill.runner import run
from testbed.drill.trial import Expected, Trial


class Receivers:
    """Receivers without deliveries."""

    deliveries: tuple[Any, ...] = ()
    problems: tuple[str, ...] = ()

    def wait_for(self, _true: object, _seconds: float) -> bool:
        return True


def _trial(name: str, order: list[str], *, resolves_late: bool = False) -> Trial:
    @contextmanager
    def inject(_environment: object) -> Iterator[None]:
        order.append(f"{name} starts")
        yield
        order.append(f"{name} ends")

    return Trial(name, inject, (Expected(f"Trust{name}"),), resolves_late)


def _run(rounds: list[list[Trial]], resolved: dict[str, Event], order: list[str], monkeypatch: Any) -> None:
    def await_alert(_environment: object, expected: Expected, status: str, *_: object) -> tuple[float, frozenset[str]]:
        if status == "resolved":
            assert resolved.setdefault(expected.alert, Event()).wait(10)
            order.append(f"{expected.alert} resolves")
        return 0.0, frozenset()

    monkeypatch.setattr("testbed.drill.runner._wait_for_receivers", await_alert)
    monkeypatch.setattr("testbed.drill.runner._SETTLE_SECONDS", 0.0)
    environment: Any = SimpleNamespace(factor=30, receivers=Receivers())
    run(environment, rounds, 0.0, lambda _line: None)


def _resolved(*names: str) -> dict[str, Event]:
    events = {f"Trust{name}": Event() for name in names}
    for event in events.values():
        event.set()
    return events


def test_a_round_waits_until_the_alerts_of_the_previous_round_resolve(monkeypatch: Any) -> None:
    order: list[str] = []
    _run([[_trial("A", order)], [_trial("B", order)]], _resolved("A", "B"), order, monkeypatch)
    assert order == ["A starts", "A ends", "TrustA resolves", "B starts", "B ends", "TrustB resolves"]


def test_a_round_does_not_wait_for_alerts_that_resolve_late(monkeypatch: Any) -> None:
    order: list[str] = []
    resolved = _resolved("B")
    late = resolved.setdefault("TrustA", Event())

    @contextmanager
    def inject(_environment: object) -> Iterator[None]:
        yield
        order.append("B ends")
        late.set()

    rounds = [[_trial("A", order, resolves_late=True)], [Trial("B", inject, (Expected("TrustB"),))]]
    _run(rounds, resolved, order, monkeypatch)
    assert order.index("B ends") < order.index("TrustA resolves")


def test_an_alert_is_not_triggered_again_before_it_has_resolved(monkeypatch: Any) -> None:
    order: list[str] = []
    _run([[_trial("A", order, resolves_late=True)], [_trial("A", order)]], _resolved("A"), order, monkeypatch)
    assert order[:3] == ["A starts", "A ends", "TrustA resolves"]
