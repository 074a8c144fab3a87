"""An operation that the service measures itself counts once, with the values of the service."""

import asyncio
import contextvars
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from trust_otel.instrumentation.executors import ExecutorInstrumentor

Recorded = Callable[[], list[tuple[str, ...]]]

EXPLICIT = ("issuance", "success", "DSC")
AUTOMATIC = ("issuance", "success")


@pytest.fixture
def issue(authority: Any) -> Callable[[], Any]:
    """An operation that is measured automatically."""
    return lambda: authority.sign(authority.builder())


@pytest.fixture
def operation(instrumented: Any) -> Any:
    """An operation of the API, not started."""
    return instrumented.metrics.certificate_operation("issuance", certificate_type="DSC")


@pytest.fixture
def executors(instrumented: Any) -> Iterator[None]:
    ExecutorInstrumentor().instrument(metrics=instrumented.metrics)
    yield
    ExecutorInstrumentor().uninstrument()


class TestBlock:
    def test_sync(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        with operation:
            issue()
        assert recorded() == [EXPLICIT]
        issue()
        assert recorded() == [AUTOMATIC, EXPLICIT]

    async def test_async(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        async with operation:
            await asyncio.sleep(0)
            issue()
        assert recorded() == [EXPLICIT]

    def test_failed_operation(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        with pytest.raises(LookupError), operation:  # noqa: PT012
            issue()
            raise LookupError
        issue()
        assert recorded() == [("issuance", "error", "LookupError", "DSC"), AUTOMATIC]

    def test_nested_operations_both_count_and_the_automatic_one_does_not(
        self, instrumented: Any, recorded: Recorded, operation: Any, issue: Any
    ) -> None:
        with instrumented.metrics.certificate_operation("renewal"):
            with operation:
                issue()
            issue()
        assert recorded() == [EXPLICIT, ("renewal", "success")]

    def test_type_can_be_set_until_the_end(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        with operation as running:
            issue()
            running.certificate_type = "CSCA"
        assert recorded() == [("issuance", "success", "CSCA")]

    def test_other_operation_does_not_suppress_automatic_ones(
        self, instrumented: Any, recorded: Recorded, issue: Any
    ) -> None:
        with instrumented.metrics.document_processing("passport"):
            issue()
        assert recorded() == [AUTOMATIC]

    def test_operations_that_end_out_of_order(self, instrumented: Any, recorded: Recorded, issue: Any) -> None:
        first = instrumented.metrics.certificate_operation("renewal")
        second = instrumented.metrics.certificate_operation("validation")
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        issue()
        second.__exit__(None, None, None)
        assert recorded() == [("renewal", "success"), ("validation", "success")]
        issue()
        assert recorded()[0] == AUTOMATIC

    def test_operation_that_ends_in_another_context(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        """As a synchronous dependency of FastAPI, which starts and ends in other threads."""
        operation.__enter__()
        contextvars.Context().run(operation.__exit__, None, None, None)
        issue()
        assert recorded() == [AUTOMATIC, EXPLICIT]

    def test_finished_operation_is_not_kept_in_memory(self, instrumented: Any) -> None:
        operation = instrumented.metrics.certificate_operation("issuance")
        operation.__enter__()
        contextvars.Context().run(operation.__exit__, None, None, None)
        with instrumented.metrics.certificate_operation("renewal"):
            pass
        ended = weakref.ref(operation)
        del operation
        gc.collect()
        assert ended() is None


class TestDecorator:
    def test_function(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        assert operation(issue)() is not None
        issue()
        assert recorded() == [AUTOMATIC, EXPLICIT]

    async def test_overlapping_coroutines(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        @operation
        async def told() -> None:
            await asyncio.sleep(0)
            issue()
            await asyncio.sleep(0)

        async def untold() -> None:
            await asyncio.sleep(0)
            issue()

        await asyncio.gather(told(), untold(), told(), untold())
        assert recorded() == [AUTOMATIC, AUTOMATIC, EXPLICIT, EXPLICIT]

    def test_generator_suppresses_only_its_own_operations(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        @operation
        def batch() -> Iterator[int]:
            for number in range(3):
                issue()
                yield number
            issue()

        for _ in batch():
            issue()
        assert recorded() == [AUTOMATIC] * 3 + [EXPLICIT]

    def test_generator_closed_early(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        @operation
        def batch() -> Iterator[int]:
            try:
                yield 1
            finally:
                issue()

        items = batch()
        next(items)
        issue()
        contextvars.Context().run(items.close)
        issue()
        assert recorded() == [("issuance", "error", "GeneratorExit", "DSC"), AUTOMATIC, AUTOMATIC]

    async def test_asynchronous_generator_suppresses_only_its_own_operations(
        self, recorded: Recorded, operation: Any, issue: Any
    ) -> None:
        @operation
        async def batch() -> AsyncIterator[int]:
            for number in range(3):
                issue()
                yield number

        async for _ in batch():
            issue()
        assert recorded() == [AUTOMATIC] * 3 + [EXPLICIT]


class TestThreadsAndTasks:
    async def test_thread_of_asyncio(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        async with operation:
            await asyncio.to_thread(issue)
        assert recorded() == [EXPLICIT]

    async def test_task_within(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        async def later() -> None:
            issue()

        async with operation:
            await asyncio.create_task(later())
        assert recorded() == [EXPLICIT]

    async def test_task_that_outlives_the_operation_counts_again(
        self, recorded: Recorded, operation: Any, issue: Any
    ) -> None:
        ended = asyncio.Event()

        async def later() -> None:
            await ended.wait()
            issue()

        async with operation:
            task = asyncio.create_task(later())
            await asyncio.sleep(0)
        ended.set()
        await task
        assert recorded() == [AUTOMATIC, EXPLICIT]

    @pytest.mark.usefixtures("executors")
    def test_pool(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        with ThreadPoolExecutor(1) as pool:
            with operation:
                pool.submit(issue).result()
                list(pool.map(lambda _: issue(), range(3)))
            pool.submit(issue).result()
        assert recorded() == [AUTOMATIC, EXPLICIT]

    @pytest.mark.usefixtures("executors")
    def test_pool_thread_is_part_of_the_operation_only_during_its_task(
        self, recorded: Recorded, operation: Any, issue: Any
    ) -> None:
        with ThreadPoolExecutor(1) as pool, operation:
            pool.submit(issue).result()
            contextvars.Context().run(pool.submit, issue).result()
        assert recorded() == [AUTOMATIC, EXPLICIT]

    @pytest.mark.usefixtures("executors")
    async def test_pool_of_the_event_loop(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        async with operation:
            await asyncio.get_running_loop().run_in_executor(None, issue)
        assert recorded() == [EXPLICIT]

    @pytest.mark.usefixtures("executors")
    def test_pool_task_after_the_end_counts_again(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        ended = threading.Event()

        def later() -> None:
            assert ended.wait(10)
            issue()

        with ThreadPoolExecutor(1) as pool:
            with operation:
                future = pool.submit(later)
            ended.set()
            future.result()
        assert recorded() == [AUTOMATIC, EXPLICIT]

    @pytest.mark.parametrize("module", ["service", "concurrent.futures.interpreter"])
    def test_pool_that_pickles_gets_the_original_function(
        self, instrumented: Any, operation: Any, monkeypatch: pytest.MonkeyPatch, module: str
    ) -> None:
        given = []
        submit = ThreadPoolExecutor.submit

        def spy(pool: ThreadPoolExecutor, function: Any, /, *args: Any) -> Any:
            given.append(function)
            return submit(pool, function, *args)

        monkeypatch.setattr(ThreadPoolExecutor, "submit", spy)
        ExecutorInstrumentor().instrument(metrics=instrumented.metrics)
        try:
            with operation, type("Pool", (ThreadPoolExecutor,), {"__module__": module})(1) as pool:
                assert pool.submit(int, "7").result() == 7
        finally:
            ExecutorInstrumentor().uninstrument()
        assert (given == [int]) is (module == "concurrent.futures.interpreter")

    def test_new_thread_is_not_part_of_the_operation(self, recorded: Recorded, operation: Any, issue: Any) -> None:
        """A thread does not inherit the context of its creator."""
        with operation:
            inherits = contextvars.copy_context()
            for target in (issue, lambda: inherits.run(issue)):
                thread = threading.Thread(target=target)
                thread.start()
                thread.join()
        assert recorded() == [AUTOMATIC, EXPLICIT]
