"""The sequence of operations of a load run."""

from __future__ import annotations

from itertools import islice

from testbed.load_generator.operations import ALL_OPERATIONS, PEOPLE_OPERATIONS, calm_operations
from testbed.load_generator.plan import plan


def test_same_seed_produces_the_same_operations() -> None:
    assert list(islice(plan(7, ALL_OPERATIONS), 2000)) == list(islice(plan(7, ALL_OPERATIONS), 2000))


def test_operations_do_not_depend_on_the_length_of_the_run() -> None:
    assert list(islice(plan(7, ALL_OPERATIONS), 2000))[:300] == list(islice(plan(7, ALL_OPERATIONS), 300))


def test_different_seeds_produce_different_operations() -> None:
    assert list(islice(plan(7, ALL_OPERATIONS), 100)) != list(islice(plan(8, ALL_OPERATIONS), 100))


def test_first_operations_cover_every_type_once() -> None:
    kinds = [operation.kind for operation in islice(plan(7, ALL_OPERATIONS), len(ALL_OPERATIONS))]
    assert sorted(kinds) == sorted(ALL_OPERATIONS)


def test_plan_without_grpc_contains_only_people_operations() -> None:
    assert {operation.kind for operation in islice(plan(7, PEOPLE_OPERATIONS), 1000)} == set(PEOPLE_OPERATIONS)


def test_operation_frequencies_match_their_weights() -> None:
    kinds = [operation.kind for operation in islice(plan(7, ALL_OPERATIONS), 20_000)]
    share = ALL_OPERATIONS["document.submit"].weight / sum(operation.weight for operation in ALL_OPERATIONS.values())
    assert abs(kinds.count("document.submit") / len(kinds) - share) < 0.02


def test_calm_operations_exclude_operations_that_cause_alerts() -> None:
    calm = calm_operations(ALL_OPERATIONS)
    assert {"login", "document.submit", "rpc.stream"} <= set(calm)
    assert {"scan", "login.burst", "certificate.validate.forged", "signature.sign.weak"}.isdisjoint(calm)
    assert {"rpc.validate.stranger", "rpc.stream.stranger"}.isdisjoint(calm)
