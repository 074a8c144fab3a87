"""The plan of a start_load."""

from __future__ import annotations

from itertools import islice

from testbed.load_generator.operations import ALL_OPERATIONS, PEOPLE_OPERATIONS, calm_operations
from testbed.load_generator.plan import plan


def test_the_same_seed_gives_the_same_operations() -> None:
    assert list(islice(plan(7, ALL_OPERATIONS), 2000)) == list(islice(plan(7, ALL_OPERATIONS), 2000))


def test_a_longer_run_begins_with_the_operations_of_a_shorter_one() -> None:
    assert list(islice(plan(7, ALL_OPERATIONS), 2000))[:300] == list(islice(plan(7, ALL_OPERATIONS), 300))


def test_another_seed_gives_other_operations() -> None:
    assert list(islice(plan(7, ALL_OPERATIONS), 100)) != list(islice(plan(8, ALL_OPERATIONS), 100))


def test_even_the_shortest_run_does_everything_once() -> None:
    kinds = [operation.kind for operation in islice(plan(7, ALL_OPERATIONS), len(ALL_OPERATIONS))]
    assert sorted(kinds) == sorted(ALL_OPERATIONS)


def test_without_grpc_only_people_act() -> None:
    assert {operation.kind for operation in islice(plan(7, PEOPLE_OPERATIONS), 1000)} == set(PEOPLE_OPERATIONS)


def test_kinds_come_as_often_as_their_weights_say() -> None:
    kinds = [operation.kind for operation in islice(plan(7, ALL_OPERATIONS), 20_000)]
    share = ALL_OPERATIONS["document.submit"].weight / sum(act.weight for act in ALL_OPERATIONS.values())
    assert abs(kinds.count("document.submit") / len(kinds) - share) < 0.02


def test_a_calm_plan_causes_no_alert() -> None:
    calm = calm_operations(ALL_OPERATIONS)
    assert {"login", "document.submit", "rpc.stream"} <= set(calm)
    assert {"scan", "login.burst", "certificate.validate.forged", "signature.sign.weak"}.isdisjoint(calm)
