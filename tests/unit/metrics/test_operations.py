"""Operations measured by a context manager or a decorator, sync and async."""

import asyncio
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

DURATION = "trust.certificate.operation.duration"
ACTIVE = "trust.certificate.operation.active"


def _outcomes(recording: Any) -> list[dict[str, Any]]:
    names = ("trust.outcome", "error.type")
    return [{name: labels[name] for name in names if name in labels} for labels in recording.labels(DURATION)]


class TestContextManager:
    def test_usage_example(self, recording: Any) -> None:
        metrics = recording.metrics
        with metrics.certificate_operation("validation"):
            assert recording.value(ACTIVE, {"trust.certificate.operation": "validation"}) == 1
        assert recording.value(ACTIVE) == 0
        assert recording.labels(DURATION) == [{"trust.certificate.operation": "validation", "trust.outcome": "success"}]

    async def test_sync_and_async_blocks_in_a_coroutine(self, recording: Any) -> None:
        metrics = recording.metrics
        with metrics.certificate_operation("signing"):
            await asyncio.sleep(0)
        async with metrics.certificate_operation("signing") as operation:
            operation.fail("expired")
        assert recording.value(DURATION, {"trust.outcome": "success"}) == 1
        assert recording.value(DURATION, {"trust.outcome": "failure", "error.type": "expired"}) == 1

    def test_certificate_type_is_recorded(self, recording: Any) -> None:
        with recording.metrics.certificate_operation("validation", certificate_type="DSC"):
            pass
        assert recording.labels(DURATION)[0]["trust.certificate.type"] == "DSC"

    def test_duration_of_the_block_is_recorded(self, recording: Any) -> None:
        with recording.metrics.certificate_operation("issuance"):
            threading.Event().wait(0.05)
        (_, point) = recording.series(DURATION)[0]
        assert 0.05 <= point.sum < 0.5

    def test_exception_is_reraised_and_counted_with_its_class(self, recording: Any) -> None:
        error = ValueError("broken chain")
        operation = recording.metrics.certificate_operation("signing")
        with pytest.raises(ValueError, match="broken chain") as raised, operation:
            raise error
        assert raised.value is error
        assert _outcomes(recording) == [{"trust.outcome": "error", "error.type": "ValueError"}]
        assert recording.value(ACTIVE) == 0

    def test_error_type_of_a_library_exception_has_the_module(self, recording: Any) -> None:
        from cryptography.exceptions import InvalidSignature

        with pytest.raises(InvalidSignature), recording.metrics.certificate_operation("validation"):
            raise InvalidSignature
        assert _outcomes(recording)[0]["error.type"] == "cryptography.exceptions.InvalidSignature"

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_base_exception_is_counted_as_error(self, recording: Any, kind: type[BaseException]) -> None:
        with pytest.raises(kind), recording.metrics.certificate_operation("validation"):
            raise kind
        assert _outcomes(recording) == [{"trust.outcome": "error", "error.type": kind.__name__}]
        assert recording.value(ACTIVE) == 0

    def test_reported_failure_has_outcome_failure(self, recording: Any) -> None:
        with recording.metrics.certificate_operation("validation") as operation:
            operation.fail("expired")
        assert _outcomes(recording) == [{"trust.outcome": "failure", "error.type": "expired"}]

    def test_exception_after_reported_failure_has_outcome_failure(self, recording: Any) -> None:
        """For example when a handler raises `HTTPException` after `fail`."""
        with pytest.raises(LookupError), recording.metrics.certificate_operation("validation") as operation:  # noqa: PT012
            operation.fail("revoked")
            raise LookupError
        assert _outcomes(recording) == [{"trust.outcome": "failure", "error.type": "revoked"}]

    @pytest.mark.parametrize("reason", [None, ""])
    def test_failure_without_reason_has_outcome_failure(self, recording: Any, reason: Any) -> None:
        with recording.metrics.certificate_operation("validation") as operation:
            operation.fail(reason)
        assert [outcome["trust.outcome"] for outcome in _outcomes(recording)] == ["failure"]

    def test_reused_operation_does_not_keep_the_previous_failure(self, recording: Any) -> None:
        operation = recording.metrics.certificate_operation("validation")
        with operation:
            operation.fail("expired")
        with operation:
            pass
        assert recording.value(DURATION, {"trust.outcome": "failure"}) == 1
        assert recording.value(DURATION, {"trust.outcome": "success"}) == 1

    def test_nested_blocks_are_measured_separately(self, recording: Any) -> None:
        with recording.metrics.certificate_operation("renewal"):
            with recording.metrics.certificate_operation("issuance"):
                assert recording.value(ACTIVE) == 2
            assert recording.value(ACTIVE) == 1
        assert recording.value(DURATION) == 2

    @pytest.mark.parametrize(
        "operation",
        ["timestamp", "suspension", "unsuspension", "key_generation", "ocsp_response", "crl_publication"],
    )
    async def test_operations_of_a_trust_service_beside_those_of_a_certificate(
        self, recording: Any, operation: str
    ) -> None:
        with recording.metrics.certificate_operation(operation):
            pass
        async with recording.metrics.certificate_operation(operation):
            pass
        assert recording.value(DURATION, {"trust.certificate.operation": operation, "trust.outcome": "success"}) == 2
        assert recording.dropped() == {}

    @pytest.mark.parametrize(("profile", "recorded"), [("qcp-n", "qcp-n"), ("erika", "_other"), (None, None)])
    async def test_only_listed_profiles_are_recorded_by_name(self, record: Any, profile: Any, recorded: Any) -> None:
        recording = record(certificate_profiles=frozenset({"qcp-n"}))
        with recording.metrics.certificate_operation("issuance", profile=profile):
            pass
        async with recording.metrics.certificate_operation("renewal") as operation:
            operation.profile = profile
        assert [labels.get("trust.certificate.profile") for labels in recording.labels(DURATION)] == [recorded] * 2
        assert recording.dropped() == {}

    def test_no_profile_is_recorded_by_name_unless_listed(self, recording: Any) -> None:
        with recording.metrics.certificate_operation("issuance", profile="qcp-n"):
            pass
        assert recording.labels(DURATION)[0]["trust.certificate.profile"] == "_other"

    def test_unknown_operation_is_recorded_as_other(self, recording: Any) -> None:
        with recording.metrics.certificate_operation("teleportation"):
            pass
        assert recording.labels(DURATION)[0]["trust.certificate.operation"] == "_other"
        assert recording.dropped() == {"unknown_value": 3}


class TestDecorator:
    def test_function_is_measured(self, recording: Any) -> None:
        @recording.metrics.certificate_operation("validation")
        def validate(chain: str, *, strict: bool = False) -> tuple[str, bool]:
            """Validate a chain."""
            return chain, strict

        assert validate("chain", strict=True) == ("chain", True)
        assert (validate.__name__, validate.__doc__) == ("validate", "Validate a chain.")
        assert recording.value(DURATION, {"trust.outcome": "success"}) == 1

    async def test_coroutine_is_measured(self, recording: Any) -> None:
        @recording.metrics.document_processing("passport", country="DE")
        async def process(document: bytes) -> bytes:
            await asyncio.sleep(0.02)
            return document

        assert asyncio.iscoroutinefunction(process)
        assert process.__name__ == "process"
        assert await process(b"x") == b"x"
        ((labels, point),) = recording.series("trust.document.processing.duration")
        assert labels == {
            "trust.document.type": "passport",
            "trust.outcome": "success",
            "geo.country.iso_code": "DE",
        }
        assert point.sum >= 0.02

    async def test_concurrent_coroutines_are_measured_separately(self, recording: Any) -> None:
        @recording.metrics.certificate_operation("issuance")
        async def issue(seconds: float) -> None:
            await asyncio.sleep(seconds)
            if seconds > 0.04:
                raise TimeoutError

        await asyncio.gather(*(issue(seconds) for seconds in (0.01, 0.02, 0.05)), return_exceptions=True)
        assert recording.value(DURATION, {"trust.outcome": "success"}) == 2
        assert recording.value(DURATION, {"trust.outcome": "error", "error.type": "TimeoutError"}) == 1
        assert recording.value(ACTIVE) == 0
        total = sum(point.sum for _, point in recording.series(DURATION))
        assert 0.08 <= total < 0.3

    def test_concurrent_threads_are_measured_separately(self, recording: Any) -> None:
        barrier = threading.Barrier(4)

        @recording.metrics.certificate_operation("signing")
        def sign(fails: bool) -> None:
            barrier.wait()
            if fails:
                raise OSError

        def call(fails: bool) -> None:
            with suppress(OSError):
                sign(fails)

        threads = [threading.Thread(target=call, args=(number % 2 == 0,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert recording.value(DURATION, {"trust.outcome": "success"}) == 2
        assert recording.value(DURATION, {"trust.outcome": "error"}) == 2
        assert recording.value(ACTIVE) == 0

    def test_recursive_calls_are_measured_separately(self, recording: Any) -> None:
        @recording.metrics.certificate_operation("validation")
        def depth(level: int) -> int:
            return 0 if level == 0 else 1 + depth(level - 1)

        assert depth(3) == 3
        assert recording.value(DURATION) == 4

    async def test_cancelled_coroutine_is_counted_as_error(self, recording: Any) -> None:
        @recording.metrics.certificate_operation("renewal")
        async def renew() -> None:
            await asyncio.sleep(60)

        task = asyncio.create_task(renew())
        await asyncio.sleep(0)
        assert recording.value(ACTIVE) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert _outcomes(recording)[0]["trust.outcome"] == "error"
        assert _outcomes(recording)[0]["error.type"].endswith("CancelledError")
        assert recording.value(ACTIVE) == 0

    def test_exception_is_reraised(self, recording: Any) -> None:
        error = KeyError("x")

        @recording.metrics.certificate_operation("revocation")
        def revoke() -> None:
            raise error

        with pytest.raises(KeyError) as raised:
            revoke()
        assert raised.value is error

    def test_decorated_method_is_bound_to_its_instance(self, recording: Any) -> None:
        class Authority:
            name = "ca"

            @recording.metrics.certificate_operation("issuance")
            def issue(self) -> str:
                return self.name

        assert Authority().issue() == "ca"

    async def test_object_with_async_call_is_measured(self, recording: Any) -> None:
        class Validator:
            async def __call__(self) -> str:
                await asyncio.sleep(0.02)
                return "valid"

        validate = recording.metrics.certificate_operation("validation")(Validator())
        assert await validate() == "valid"
        ((_, point),) = recording.series(DURATION)
        assert point.sum >= 0.02

    async def test_partial_of_a_coroutine_function_is_measured(self, recording: Any) -> None:
        async def validate(chain: str) -> str:
            await asyncio.sleep(0.02)
            return chain

        assert await recording.metrics.certificate_operation("validation")(partial(validate, "chain"))() == "chain"
        ((_, point),) = recording.series(DURATION)
        assert point.sum >= 0.02

    def test_generator_is_measured_until_it_ends(self, recording: Any) -> None:
        @recording.metrics.certificate_operation("validation")
        def validate() -> Iterator[int]:
            yield 1
            assert recording.value(ACTIVE) == 1
            yield 2
            raise ValueError

        with pytest.raises(ValueError):  # noqa: PT011
            list(validate())
        assert _outcomes(recording) == [{"trust.outcome": "error", "error.type": "ValueError"}]

    def test_generator_supports_send_throw_and_return_value(self, recording: Any) -> None:
        seen: list[object] = []

        @recording.metrics.certificate_operation("validation")
        def echo() -> Generator[str, object, str]:
            seen.append((yield "first"))
            with pytest.raises(LookupError) as raised:
                yield "second"
            seen.append(raised.value)
            seen.append((yield "third"))
            return "result"

        error = LookupError()
        generator = echo()
        assert [next(generator), generator.send("sent"), generator.throw(error)] == ["first", "second", "third"]
        with pytest.raises(StopIteration) as stopped:
            next(generator)
        assert stopped.value.value == "result"
        assert seen == ["sent", error, None]
        assert _outcomes(recording) == [{"trust.outcome": "success"}]

    def test_closed_generator_runs_its_finally_block(self, recording: Any) -> None:
        closed: list[bool] = []

        @recording.metrics.certificate_operation("validation")
        def validate() -> Iterator[int]:
            try:
                yield 1
            finally:
                closed.append(True)

        generator = validate()
        next(generator)
        generator.close()
        assert closed == [True]
        assert _outcomes(recording) == [{"trust.outcome": "error", "error.type": "GeneratorExit"}]

    def test_exception_during_generator_close_is_reraised(self, recording: Any) -> None:
        @recording.metrics.certificate_operation("validation")
        def validate() -> Iterator[int]:
            try:
                yield 1
            finally:
                raise OSError

        generator = validate()
        next(generator)
        with pytest.raises(OSError):  # noqa: PT011
            generator.close()
        assert _outcomes(recording) == [{"trust.outcome": "error", "error.type": "OSError"}]

    async def test_async_generator_is_measured_until_it_ends(self, recording: Any) -> None:
        @recording.metrics.certificate_operation("validation")
        async def validate() -> AsyncIterator[int]:
            yield 1
            assert recording.value(ACTIVE) == 1
            yield 2

        assert [number async for number in validate()] == [1, 2]
        assert _outcomes(recording) == [{"trust.outcome": "success"}]
