"""No process model loses an event or counts one twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks.process_models.models import MODELS, Model
from benchmarks.process_models.running import Outcome, run

_AT_A_TIME = 3


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Model], Outcome]]:
    """The outcome of each selected model, started before its test."""
    chosen: list[Any] = [
        item.callspec.params["model"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    ]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        started: dict[Model, Future[Outcome]] = {
            model: pool.submit(run, model, tmp_path_factory.mktemp("model")) for model in chosen
        }
        try:
            yield lambda model: started[model].result()
        finally:
            pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_every_event_is_exported_once(model: Model, outcomes: Callable[[Model], Outcome]) -> None:
    outcome = outcomes(model)
    print(outcome.log)

    assert outcome.pushed == (outcome.sent, outcome.sent)
    assert outcome.refused == 0
    assert sorted(outcome.up)[:-1] == [0] * (len(outcome.up) - 1)
    assert max(outcome.up) == (1 if model.victim else 0)
    assert outcome.pulled == (outcome.sent, outcome.sent)
    # Celery's tasks are recorded by the program, which installs no instrumentation.
    logged = [line for line in outcome.log.splitlines() if "trust-otel: " in line]
    assert [line for line in logged if "tasks of Celery are not measured" not in line] == []
