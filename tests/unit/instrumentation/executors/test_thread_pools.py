"""Thread pools are measured, work as before, and are not kept in memory."""

import asyncio
import gc
import inspect
import logging
import random
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from concurrent.futures.thread import BrokenThreadPool
from typing import Any, cast

import pytest
from wrapt import wrap_function_wrapper

from trust_otel.instrumentation.executors import ExecutorInstrumentor

THREADS = "trust.executor.threads"
QUEUE = "trust.executor.queue.size"


@pytest.fixture
def instrumented(recording: Any) -> Iterator[Any]:
    """The recording of every pool created from now on."""
    ExecutorInstrumentor().instrument(metrics=recording.metrics)
    yield recording
    ExecutorInstrumentor().uninstrument()
    assert recording.dropped() == {}


class Work:
    """Tasks that run until they are released."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.go_on = threading.Event()

    def __call__(self, result: object = None) -> object:
        self.started.release()
        assert self.go_on.wait(30)
        return result

    def await_started(self, count: int) -> None:
        for _ in range(count):
            assert self.started.acquire(timeout=30)


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work()
    yield made
    made.go_on.set()


def state(recording: Any, name: str) -> tuple[float, float, float]:
    """Active threads, maximum threads and queue size of the pools with a name."""
    pool = {"trust.executor.name": name}
    return (
        recording.value(THREADS, {**pool, "trust.executor.state": "active"}),
        recording.value(THREADS, {**pool, "trust.executor.state": "max"}),
        recording.value(QUEUE, pool),
    )


def names(recording: Any) -> set[str]:
    return {labels["trust.executor.name"] for metric in (THREADS, QUEUE) for labels in recording.labels(metric)}


class TestState:
    def test_active_and_queued_tasks(self, instrumented: Any, work: Work) -> None:
        with ThreadPoolExecutor(2, "signer") as pool:
            assert state(instrumented, "signer") == (0, 2, 0)
            futures = [pool.submit(work, number) for number in range(5)]
            work.await_started(2)
            assert state(instrumented, "signer") == (2, 2, 3)
            work.go_on.set()
            assert [future.result() for future in futures] == [0, 1, 2, 3, 4]
            assert state(instrumented, "signer") == (0, 2, 0)

    def test_fewer_tasks_than_threads(self, instrumented: Any, work: Work) -> None:
        with ThreadPoolExecutor(8, "signer") as pool:
            pool.submit(work)
            work.await_started(1)
            assert state(instrumented, "signer") == (1, 8, 0)
            work.go_on.set()

    def test_default_number_of_threads(self, instrumented: Any) -> None:
        with ThreadPoolExecutor(thread_name_prefix="signer") as pool:
            assert state(instrumented, "signer")[1] == pool._max_workers

    def test_map(self, instrumented: Any, work: Work) -> None:
        with ThreadPoolExecutor(1, "signer") as pool:
            results = pool.map(work, range(3))
            work.await_started(1)
            assert state(instrumented, "signer") == (1, 1, 2)
            work.go_on.set()
            assert list(results) == [0, 1, 2]

    def test_cancelled_task_leaves_the_queue(self, instrumented: Any, work: Work) -> None:
        with ThreadPoolExecutor(1, "signer") as pool:
            running, first, second = (pool.submit(work) for _ in range(3))
            work.await_started(1)
            assert first.cancel()
            assert first.cancel()
            assert not running.cancel()
            assert state(instrumented, "signer") == (1, 1, 1)
            work.go_on.set()
            second.result()
        assert first.cancelled()

    @pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
    def test_task_that_raises(self, instrumented: Any, kind: type[BaseException]) -> None:
        fault = kind("x")

        def fail() -> None:
            raise fault

        with ThreadPoolExecutor(1, "signer") as pool:
            assert pool.submit(fail).exception() is fault
            assert state(instrumented, "signer") == (0, 1, 0)

    def test_pool_whose_initializer_fails(self, instrumented: Any, caplog: pytest.LogCaptureFixture) -> None:
        together = threading.Event()

        def initialize() -> None:
            assert together.wait(30)
            raise OSError

        with ThreadPoolExecutor(1, "signer", initializer=initialize) as pool:
            futures = [pool.submit(int) for _ in range(3)]
            assert state(instrumented, "signer") == (0, 1, 3)
            together.set()
            assert [type(future.exception(30)) for future in futures] == [BrokenThreadPool] * 3
            assert state(instrumented, "signer") == (0, 1, 0)
            with pytest.raises(BrokenThreadPool):
                pool.submit(int)
            assert state(instrumented, "signer") == (0, 1, 0)
        assert [record.message for record in caplog.records] == ["Exception in initializer:"]

    def test_shutdown_with_cancel_futures(self, instrumented: Any, work: Work) -> None:
        pool = ThreadPoolExecutor(1, "signer")
        futures = [pool.submit(work) for _ in range(4)]
        work.await_started(1)
        pool.shutdown(wait=False, cancel_futures=True)
        assert state(instrumented, "signer") == (1, 1, 0)
        work.go_on.set()
        futures[0].result()
        pool.shutdown()
        assert names(instrumented) == set()

    def test_closed_pool_is_exported_until_its_work_is_done(self, instrumented: Any, work: Work) -> None:
        pool = ThreadPoolExecutor(1, "signer")
        future = pool.submit(work)
        work.await_started(1)
        pool.shutdown(wait=False)
        assert state(instrumented, "signer") == (1, 1, 0)
        work.go_on.set()
        future.result()
        pool.shutdown()
        assert names(instrumented) == set()
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.submit(int)

    def test_finished_task_is_neither_active_nor_queued(self, recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []
        submit = ThreadPoolExecutor.submit

        def observed(*args: Any) -> Future[Any]:
            future = submit(*args)
            future.add_done_callback(lambda _: seen.append(state(recording, "signer")))
            return future

        monkeypatch.setattr(ThreadPoolExecutor, "submit", observed)
        ExecutorInstrumentor().instrument(metrics=recording.metrics)
        try:
            with ThreadPoolExecutor(1, "signer") as pool:
                work = Work()
                pool.submit(work)
                work.await_started(1)
                work.go_on.set()
        finally:
            ExecutorInstrumentor().uninstrument()
        assert seen == [(0, 1, 0)]

    def test_many_threads_submit_and_cancel(self, instrumented: Any) -> None:
        done: list[Future[int]] = []

        def submit(pool: ThreadPoolExecutor, seed: int) -> None:
            chance = random.Random(seed)
            for number in range(300):
                future = pool.submit(int, number)
                if chance.random() < 0.3:
                    future.cancel()
                done.append(future)

        with ThreadPoolExecutor(4, "signer") as pool:
            threads = [threading.Thread(target=submit, args=(pool, seed)) for seed in range(6)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                active, most, queued = state(instrumented, "signer")
                assert 0 <= active <= most == 4
                assert 0 <= queued <= 1800
            for thread in threads:
                thread.join()
            wait(done, 30)
            assert len(done) == 1800
            assert state(instrumented, "signer") == (0, 4, 0)


class TestNames:
    @pytest.mark.parametrize(
        ("prefix", "name"),
        [
            ("", "default"),
            (None, "default"),
            ("signer", "signer"),
            ("signer-3", "signer"),
            ("signer_3_", "signer"),
            ("signer12", "signer"),
            ("signer-3-4", "signer"),
            ("grpc:50051", "grpc"),
            ("signer-550e8400-e29b-41d4-a716-446655440000", "signer"),
            ("signer-550E8400E29B41D4A716446655440000", "signer"),
            ("signer 0x7f3a2bcd01", "signer"),
            ("signer-1f3a9c2b", "signer"),
            ("550e8400-e29b-41d4-a716-446655440000", "default"),
            ("42", "default"),
            ("---", "default"),
            ("x509-signer", "x509-signer"),
            ("http2-client", "http2-client"),
            ("cafe", "cafe"),
            (7.5, "default"),
        ],
    )
    def test_name_is_the_thread_name_prefix_without_ids(self, instrumented: Any, prefix: Any, name: str) -> None:
        with ThreadPoolExecutor(3, thread_name_prefix=prefix):
            assert state(instrumented, name) == (0, 3, 0)
            assert names(instrumented) == {name}

    def test_very_long_prefix(self, instrumented: Any) -> None:
        with ThreadPoolExecutor(1, "9" * 1_000_000 + "x"):
            assert names(instrumented) == {"default"}

    def test_prefix_that_raises_does_not_affect_the_service(self, recording: Any) -> None:
        class Prefix:
            def __str__(self) -> str:
                raise ValueError

        ExecutorInstrumentor().instrument(metrics=recording.metrics)
        try:
            with ThreadPoolExecutor(1, cast(Any, Prefix())):
                assert names(recording) == set()
        finally:
            ExecutorInstrumentor().uninstrument()
        assert recording.dropped() == {"internal_error": 1}

    def test_unnamed_pools_are_summed(self, instrumented: Any, work: Work) -> None:
        pools = [ThreadPoolExecutor(1) for _ in range(30)]
        for pool in pools:
            pool.submit(work)
        work.await_started(30)
        pools[0].submit(int)
        assert names(instrumented) == {"default"}
        assert state(instrumented, "default") == (30, 30, 1)
        work.go_on.set()
        for pool in pools:
            pool.shutdown()

    def test_pools_with_the_same_name_are_summed(self, instrumented: Any) -> None:
        with ThreadPoolExecutor(2, "signer-1"), ThreadPoolExecutor(3, "signer-2"), ThreadPoolExecutor(4, "mail"):
            assert state(instrumented, "signer") == (0, 5, 0)
            assert state(instrumented, "mail") == (0, 4, 0)

    async def test_pool_of_the_event_loop(self, instrumented: Any, work: Work) -> None:
        future = asyncio.get_running_loop().run_in_executor(None, work)
        await asyncio.to_thread(work.await_started, 1)
        active, most, queued = state(instrumented, "asyncio")
        assert (active, queued) == (1, 0)
        assert most > 1
        work.go_on.set()
        await future

    def test_pool_of_a_grpc_server(self, instrumented: Any, work: Work) -> None:
        import grpc

        def answer(request: bytes, context: object) -> bytes:
            work()
            return request

        with ThreadPoolExecutor(2, "grpc-server") as pool:
            server = grpc.server(pool)
            handler: Any = grpc.unary_unary_rpc_method_handler(answer)
            server.add_registered_method_handlers("test.Echo", {"Call": handler})
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {"Call": handler}),))
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            try:
                with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                    method: Any = channel.unary_unary("/test.Echo/Call")
                    call = method.future(b"x")
                    work.await_started(1)
                    assert state(instrumented, "grpc-server")[:2] == (1, 2)
                    work.go_on.set()
                    assert call.result(30) == b"x"
            finally:
                server.stop(None).wait()


class TestTransparency:
    def test_keyword_arguments_of_any_name_reach_the_task(self, instrumented: Any) -> None:
        with ThreadPoolExecutor(1) as pool:
            given = {"self": 1, "fn": 2, "executor": 3, "wrapped": 4, "args": 5, "kwargs": 6, "function": 7}
            assert pool.submit(lambda *args, **kwargs: (args, kwargs), 1, 2, **given).result() == ((1, 2), given)

    def test_wrong_calls_raise_the_original_error(self, instrumented: Any) -> None:
        with pytest.raises(ValueError, match="max_workers must be greater than 0"):
            ThreadPoolExecutor(0)
        with pytest.raises(TypeError):
            ThreadPoolExecutor(workers=1)  # type: ignore[call-overload]
        with ThreadPoolExecutor(1, "signer") as pool:
            with pytest.raises(TypeError, match="submit"):
                pool.submit()  # type: ignore[call-arg]
            with pytest.raises(TypeError, match="not callable"):
                pool.submit(1).result()  # type: ignore[arg-type]
            assert state(instrumented, "signer") == (0, 1, 0)

    def test_signatures_are_unchanged(self, recording: Any) -> None:
        methods = ("__init__", "submit", "shutdown")
        before = [inspect.signature(getattr(ThreadPoolExecutor, name)) for name in methods]
        ExecutorInstrumentor().instrument(metrics=recording.metrics)
        try:
            assert [inspect.signature(getattr(ThreadPoolExecutor, name)) for name in methods] == before
        finally:
            ExecutorInstrumentor().uninstrument()

    def test_subclass_with_its_own_submit(self, instrumented: Any, work: Work) -> None:
        class Pool(ThreadPoolExecutor):
            __hash__ = None  # type: ignore[assignment]

            def __init__(self) -> None:
                super().__init__(max_workers=2, thread_name_prefix="own")

            def __eq__(self, other: object) -> bool:
                return True

            def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
                return super().submit(work, *args, **kwargs)

        with Pool() as first, Pool() as second:
            futures = [pool.submit(number) for number, pool in enumerate((first, first, first, second))]
            work.await_started(3)
            assert state(instrumented, "own") == (3, 4, 1)
            work.go_on.set()
            assert [future.result() for future in futures] == [0, 1, 2, 3]

    def test_pool_created_before_works_and_is_not_measured(self, recording: Any) -> None:
        with ThreadPoolExecutor(1, "signer") as pool:
            ExecutorInstrumentor().instrument(metrics=recording.metrics)
            try:
                assert pool.submit(int, "7").result() == 7
                assert names(recording) == set()
            finally:
                ExecutorInstrumentor().uninstrument()


class TestMemory:
    def test_deleted_pool_has_no_series(self, instrumented: Any) -> None:
        pool = ThreadPoolExecutor(1, "signer")
        pool.submit(int).result()
        assert names(instrumented) == {"signer"}
        dead = weakref.ref(pool)
        del pool
        gc.collect()
        assert dead() is None
        assert names(instrumented) == set()

    def test_work_outlives_its_pool(self, instrumented: Any, work: Work) -> None:
        pool = ThreadPoolExecutor(1, "signer")
        futures = [pool.submit(work, number) for number in range(3)]
        work.await_started(1)
        del pool
        gc.collect()
        assert names(instrumented) == set()
        work.go_on.set()
        assert [future.result(30) for future in futures] == [0, 1, 2]

    def test_done_tasks_are_not_kept(self, instrumented: Any) -> None:
        class Result:
            pass

        def task() -> Result:
            return Result()

        with ThreadPoolExecutor(1, "signer") as pool:
            future = pool.submit(task)
            result, function = weakref.ref(future.result()), weakref.ref(task)
            del task
            pool.submit(int).result()
            gc.collect()
            assert function() is None
            assert result() is not None
            del future
            gc.collect()
            assert result() is None


class TestUninstrument:
    def test_originals_are_restored(self, recording: Any) -> None:
        methods = ("__init__", "submit", "shutdown")
        before = [vars(ThreadPoolExecutor)[name] for name in methods]
        for _ in range(2):
            ExecutorInstrumentor().instrument(metrics=recording.metrics)
            with ThreadPoolExecutor(1, "signer"):
                assert state(recording, "signer") == (0, 1, 0)
            ExecutorInstrumentor().uninstrument()
            assert [vars(ThreadPoolExecutor)[name] for name in methods] == before

    def test_running_tasks_finish(self, recording: Any, work: Work, caplog: pytest.LogCaptureFixture) -> None:
        ExecutorInstrumentor().instrument(metrics=recording.metrics)
        with caplog.at_level(logging.DEBUG), ThreadPoolExecutor(1, "signer") as pool:
            futures = [pool.submit(work, number) for number in range(3)]
            work.await_started(1)
            ExecutorInstrumentor().uninstrument()
            assert names(recording) == set()
            assert futures[2].cancel()
            work.go_on.set()
            assert [future.result() for future in futures[:2]] == [0, 1]
            assert pool.submit(int, "7").result() == 7
        assert caplog.records == []

    def test_later_wrapper_is_kept_and_nothing_is_recorded(
        self, recording: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[str] = []
        for name in ("__init__", "submit"):
            monkeypatch.setattr(ThreadPoolExecutor, name, vars(ThreadPoolExecutor)[name])
        ExecutorInstrumentor().instrument(metrics=recording.metrics)

        def theirs(wrapped: Any, instance: object, args: Any, kwargs: Any) -> Any:
            calls.append(wrapped.__name__)
            return wrapped(*args, **kwargs)

        for name in ("__init__", "submit"):
            wrap_function_wrapper(ThreadPoolExecutor, name, theirs)
        ExecutorInstrumentor().uninstrument()
        with ThreadPoolExecutor(1, "signer") as pool:
            assert pool.submit(int, "7").result() == 7
            assert names(recording) == set()
        assert calls == ["__init__", "submit"]
