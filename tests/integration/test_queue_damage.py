"""A Collector with a damaged queue file starts with an empty queue, keeps the file, and reports it."""

import fcntl
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.running import counter_request, eventually, send
from trust_ops.stack import Addresses, Stack
from trust_ops.stack.errors import ComponentError
from trust_ops.stack.inputs import Inputs

_PAGE = 4096
_SENT = 40
_RANDOM = random.Random()

Damage = Callable[[Path], object]


@contextmanager
def _collector(directory: Path) -> Iterator[Stack]:
    """A Collector that cannot deliver, so that its queue keeps all data."""
    inputs = Inputs(collector_sends_to="http://127.0.0.1:1")
    with Stack(directory, components=("collector",), inputs=inputs, on_progress=print) as stack:
        yield stack


def _queue(directory: Path) -> Path:
    return directory / "collector" / "queue"


def _own(addresses: Addresses, name: str) -> float | None:
    page = httpx.get(addresses.collector_self_metrics, trust_env=False).text
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return next((sample.value for sample in samples if sample.name == name), None)


@pytest.fixture(scope="module")
def queue_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The queue file of a killed Collector, with `_SENT` requests."""
    directory = tmp_path_factory.mktemp("original")
    with _collector(directory) as stack:
        addresses = stack.up()
        for number in range(_SENT):
            assert send(addresses, counter_request("calls", {"number": str(number), "text": "x" * 10_000}))
        stack.kill("collector", signal.SIGKILL)
    (file,) = _queue(directory).iterdir()
    return file


def _write(at: int, content: bytes) -> Damage:
    def damage(file: Path) -> None:
        with file.open("r+b") as opened:
            opened.seek(at)
            opened.write(content)

    return damage


def _in_every_page(at: int, content: Callable[[], bytes], *, first: int = 2) -> Damage:
    def damage(file: Path) -> None:
        for page in range(first, file.stat().st_size // _PAGE):
            _write(page * _PAGE + at, content())(file)

    return damage


def _truncate(size: Callable[[int], int]) -> Damage:
    def damage(file: Path) -> None:
        length = size(file.stat().st_size)
        with file.open("r+b") as opened:
            opened.truncate(length)

    return damage


def _in_both_metas(at: int, content: bytes) -> Damage:
    def damage(file: Path) -> None:
        _write(at, content)(file)
        _write(_PAGE + at, content)(file)

    return damage


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


_DAMAGES: dict[str, Damage] = {
    "empty": _truncate(lambda _: 0),
    "one byte": _truncate(lambda _: 1),
    "one page": _truncate(lambda _: _PAGE),
    "cut after the meta pages": _truncate(lambda _: 2 * _PAGE),
    "cut within a page": _truncate(lambda size: size // 8 + 123),
    "zeros": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "random bytes": lambda file: file.write_bytes(_RANDOM.randbytes(file.stat().st_size)),
    "another kind of file": lambda file: file.write_text("not a database\n" * 1000),
    "no meta page": _write(0, bytes(2 * _PAGE)),
    "wrong magic number": _in_both_metas(16, b"abcd"),
    "another version": _in_both_metas(20, b"\x09"),
    "wrong checksum": _in_both_metas(72, bytes(8)),
    "pages that were never written": _in_every_page(0, lambda: bytes(_PAGE)),
    "every other page lost": _in_every_page(0, lambda: _RANDOM.choice([bytes(_PAGE), b""])),
    "half-written pages": _in_every_page(16, lambda: bytes(_PAGE - 16)),
    "page headers of random bytes": _in_every_page(0, lambda: _RANDOM.randbytes(16)),
    "items of random sizes": _in_every_page(16, lambda: _RANDOM.randbytes(64)),
    "a page without end": _in_every_page(12, lambda: b"\xff\xff\xff\x7f"),
    "a directory": _directory,
}


@pytest.mark.parametrize("kind", _DAMAGES)
def test_a_damaged_queue_file_is_set_aside_and_reported(kind: str, queue_file: Path, tmp_path: Path) -> None:
    _queue(tmp_path).mkdir(parents=True)
    file = _queue(tmp_path) / queue_file.name
    shutil.copy(queue_file, file)
    # The same damage in every run, independent of the order of tests.
    _RANDOM.seed(kind)
    _DAMAGES[kind](file)
    content = file.read_bytes() if file.is_file() else None
    with _collector(tmp_path) as stack:
        addresses = stack.up()
        assert send(addresses, counter_request("calls", {}))
        eventually(lambda: _own(addresses, "otelcol_exporter_queue_size"), 1)
        assert _own(addresses, "otelcol_queue_damaged_files") == 1
        assert stack.crashed() == []
        (aside,) = _queue(tmp_path).glob("*.damaged-*")
        assert content is None or aside.read_bytes() == content
        assert "The queue file is damaged: it was set aside" in stack.logs("collector")
        # After the file was removed.
        aside.rmdir() if aside.is_dir() else aside.unlink()
        eventually(lambda: _own(addresses, "otelcol_queue_damaged_files"), 0)


_HARMLESS: dict[str, Damage] = {
    "intact": lambda _: None,
    "first meta page lost": _write(0, bytes(_PAGE)),
    "second meta page lost": _write(_PAGE, bytes(_PAGE)),
    "bytes appended": lambda file: file.write_bytes(file.read_bytes() + _RANDOM.randbytes(10_000)),
}


@pytest.mark.parametrize("kind", _HARMLESS)
def test_a_queue_file_that_can_be_read_keeps_its_items(kind: str, queue_file: Path, tmp_path: Path) -> None:
    _queue(tmp_path).mkdir(parents=True)
    file = _queue(tmp_path) / queue_file.name
    shutil.copy(queue_file, file)
    _HARMLESS[kind](file)
    with _collector(tmp_path) as stack:
        addresses = stack.up()
        # One of the two meta pages is older, by one change of the queue.
        eventually(lambda: (_own(addresses, "otelcol_exporter_queue_size") or 0) >= _SENT - 1, True)
        assert _own(addresses, "otelcol_queue_damaged_files") == 0
        assert list(_queue(tmp_path).glob("*.damaged-*")) == []


def test_a_queue_file_in_use_by_another_process_is_left_alone(queue_file: Path, tmp_path: Path) -> None:
    _queue(tmp_path).mkdir(parents=True)
    file = _queue(tmp_path) / queue_file.name
    shutil.copy(queue_file, file)
    with _collector(tmp_path) as stack:
        with file.open("r+b") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            with pytest.raises(ComponentError, match="Cannot check the queue file"):
                stack.up()
        assert file.read_bytes() == queue_file.read_bytes()
        addresses = stack.up()
        eventually(lambda: _own(addresses, "otelcol_exporter_queue_size"), _SENT)


def test_only_the_newest_damaged_files_are_kept(tmp_path: Path) -> None:
    _queue(tmp_path).mkdir(parents=True)
    names = [f"exporter_otlp_http_prometheus_metrics.damaged-2026010{day}T000000.000Z" for day in range(1, 6)]
    for name in names:
        (_queue(tmp_path) / name).write_text("damaged")
    with _collector(tmp_path) as stack:
        addresses = stack.up()
        assert _own(addresses, "otelcol_queue_damaged_files") == 3
    assert sorted(file.name for file in _queue(tmp_path).glob("*.damaged-*")) == names[-3:]
