"""The plan of a simulation."""

from __future__ import annotations

from itertools import islice

from testbed.load_generator.operations import ALL_ACTS, PEOPLE_ACTS, calm_acts
from testbed.load_generator.plan import plan


def test_the_same_seed_gives_the_same_operations() -> None:
    assert list(islice(plan(7, ALL_ACTS), 2000)) == list(islice(plan(7, ALL_ACTS), 2000))


def test_a_longer_run_begins_with_the_operations_of_a_shorter_one() -> None:
    assert list(islice(plan(7, ALL_ACTS), 2000))[:300] == list(islice(plan(7, ALL_ACTS), 300))


def test_another_seed_gives_other_operations() -> None:
    assert list(islice(plan(7, ALL_ACTS), 100)) != list(islice(plan(8, ALL_ACTS), 100))


def test_even_the_shortest_run_does_everything_once() -> None:
    kinds = [operation.kind for operation in islice(plan(7, ALL_ACTS), len(ALL_ACTS))]
    assert sorted(kinds) == sorted(ALL_ACTS)


def test_without_grpc_only_people_act() -> None:
    assert {operation.kind for operation in islice(plan(7, PEOPLE_ACTS), 1000)} == set(PEOPLE_ACTS)


def test_kinds_come_as_often_as_their_weights_say() -> None:
    kinds = [operation.kind for operation in islice(plan(7, ALL_ACTS), 20_000)]
    share = ALL_ACTS["document.submit"].weight / sum(act.weight for act in ALL_ACTS.values())
    assert abs(kinds.count("document.submit") / len(kinds) - share) < 0.02


def test_a_calm_plan_has_nothing_that_an_alert_may_rightly_follow() -> None:
    calm = calm_acts(ALL_ACTS)
    assert {"login", "document.submit", "rpc.stream"} <= set(calm)
    assert {"scan", "login.burst", "certificate.validate.forged", "signature.sign.weak"}.isdisjoint(calm)
