"""One metrics endpoint for all processes of a service: the sum of those that live and those that have ended.

The first process creates a folder; the processes that it starts find it in their environment. In it, each process holds
a lock as long as it lives, serves what it collects on a socket, and writes its last collection when it ends in order.
Counters and histograms of a process that is killed are read from its file of numbers. One process holds the lock of the
endpoint and serves for all; when it ends, another one gets the lock.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from time import monotonic, time_ns

from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource

from trust_otel import forks
from trust_otel.background import signals_blocked
from trust_otel.export.snapshots import (
    Family,
    Snapshot,
    dumps,
    from_json,
    loads,
    resource_metrics,
    snapshot_of,
    snapshot_of_cells,
    to_json,
)
from trust_otel.recording import shared_cells
from trust_otel.semconv.metrics import TRUST_OTEL_INSTANCE_UP

_logger = logging.getLogger(__name__)

VARIABLE = "_TRUST_OTEL_PROCESSES"
"""The folder, in the environment of the processes that the first one starts."""

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - with a name that nobody can predict, and for this user only
_PREFIX = "trust-otel-processes-"
_ANSWER_SECONDS = 2.0
_MOST_ENDED = 20
"""How many of the processes that have ended last are shown with a heartbeat of 0."""


class ProcessGroup:
    """The processes of a service that share an endpoint.

    Args:
        folder: Their folder.
        first: Whether this process created it.
        lock: Keeps the folder from being removed.
    """

    def __init__(self, folder: Path, *, first: bool, lock: _FileLock) -> None:
        self._folder = folder
        self._first = first
        self._group_lock = lock
        self._endpoint_lock: _FileLock | None = None
        self._collect: Callable[[], MetricsData | None] = lambda: None
        self._serve: Callable[[], None] = lambda: None
        self._merging = forks.released_in_child(threading.RLock())
        self._snapshots: dict[str, Snapshot] = {}
        self._dead: _Dead | None = None
        self._ended = False
        self._enter()
        forks.in_child(forks.Step.STATE, self._enter_after_fork)
        forks.in_child(forks.Step.THREADS, self._start_threads)
        shared_cells.prepare_sharing(self._cells)
        self._announce()

    def start(self, collect: Callable[[], MetricsData | None], serve: Callable[[], None]) -> None:
        """Take part with what this process collects.

        Args:
            collect: Collects the metrics of this process.
            serve: Serves the endpoint; called now in the first process, and in another one if it takes over.

        Raises:
            OSError: This is the first process, and the port is in use.
        """
        self._collect, self._serve = collect, serve
        if self._first:
            self._endpoint_lock = _FileLock(self._folder / "endpoint")
            self._endpoint_lock.acquire()
            serve()
        self._start_threads()

    def merged(self, collect: Callable[[], MetricsData]) -> MetricsData | None:
        """The metrics of all processes; `None` if there never was another one.

        Args:
            collect: Collects the metrics of this process; not called if there is no other one.
        """
        with self._merging:
            others = self._others()
            if self._dead is None and not others and not (self._folder / "dead").exists():
                return None
            taken = snapshot_of(collect())
            if others:
                shared_cells.start_sharing()
            if self._dead is None:
                self._dead = _Dead(self._folder, taken.resource)
            living = [taken, *self._living(others, self._dead)]
            total = Snapshot(self._dead.total.resource)
            for each in living:
                total.add(each, lambda family: not family.of_each_process)
            total.add(self._dead.total)
            parts = [total, *(each.only(lambda family: family.of_each_process) for each in living), *self._dead.ended]
            return MetricsData([resource_metrics(part) for part in parts if part.series])

    def end(self) -> None:
        """Leave the last collection to the process that serves, or remove the folder if there is no other process."""
        if self._ended or self._process != os.getpid():
            return
        self._ended = True
        try:
            own = self._collect()
            if own is not None:
                _write(self._folder / f"{self._name}.last", dumps(snapshot_of(own)))
        except OSError as error:
            _logger.warning("trust-otel: the last numbers of this process are missing from the endpoint (%s)", error)
        with suppress(OSError):
            (self._folder / f"{self._name}.socket").unlink()
        with suppress(OSError):
            # On Linux, a thread in `accept` does not notice that the socket is closed.
            self._server.shutdown(socket.SHUT_RDWR)
        self._close_server()
        if self._endpoint_lock is not None:
            self._endpoint_lock.close()
        with suppress(OSError):
            if self._group_lock.try_acquire():
                shutil.rmtree(self._folder)
                os.environ.pop(VARIABLE, None)

    def _cells(self) -> Path:
        self._enter_after_fork()
        return self._folder / f"{self._name}.cells"

    def _announce(self) -> None:
        """Let the first process share its numbers as soon as there is another one, by connecting to its socket."""
        if self._first:
            (self._folder / "first").symlink_to(f"{self._name}.socket")
            return
        shared_cells.start_sharing()
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            # If nobody accepts, enough others have connected before, and a fork must not wait.
            connection.setblocking(False)
            connection.connect(str(self._folder / "first"))

    def _enter(self) -> None:
        self._process = os.getpid()
        self._name = f"{self._process}-{os.urandom(4).hex()}"
        new = self._folder / f"{self._name}.new"
        self._lock = _FileLock(new)
        self._lock.acquire()
        # Others see it only once it is locked.
        new.rename(self._folder / f"{self._name}.lock")
        self._server = socket.socket(socket.AF_UNIX)
        self._server_identity = forks.identity(self._server.fileno())
        self._server.bind(str(self._folder / f"{self._name}.socket"))
        self._server.listen(8)

    def _enter_after_fork(self) -> None:
        if self._process == os.getpid():
            return
        self._process = os.getpid()
        # While this process has them too, the locks of the parent would outlive it.
        for lock in (self._lock, self._group_lock, self._endpoint_lock):
            if lock is not None:
                lock.close()
        self._close_server()
        self._first, self._endpoint_lock, self._ended = False, None, False
        self._snapshots, self._dead = {}, None
        try:
            self._group_lock = _FileLock(self._folder / "group")
            self._group_lock.acquire(shared=True)
            self._enter()
        except OSError as error:
            # Its parent has ended, and removed the folder.
            self._ended = True
            _logger.warning("trust-otel: this process is missing from the metrics endpoint (%s)", error)
        else:
            self._announce()

    def _close_server(self) -> None:
        forks.close_inherited(self._server.detach(), self._server_identity)

    def _start_threads(self) -> None:
        if self._ended:
            return
        targets = [self._answer] if self._endpoint_lock is not None else [self._answer, self._take_over]
        with signals_blocked():
            for target in targets:
                threading.Thread(target=target, name=f"trust-otel-processes{target.__name__}", daemon=True).start()

    def _answer(self) -> None:
        server = self._server
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            shared_cells.start_sharing()
            with connection, suppress(OSError):
                own = self._collect()
                if own is not None:
                    connection.sendall(dumps(snapshot_of(own)))

    def _take_over(self) -> None:
        try:
            self._endpoint_lock = _FileLock(self._folder / "endpoint")
            self._endpoint_lock.acquire()
            if not self._ended:
                self._serve()
        except OSError as error:
            _logger.error("trust-otel: the metrics endpoint is not served any more (%s)", error)

    def _others(self) -> list[str]:
        return [path.stem for path in sorted(self._folder.glob("*.lock")) if path.stem != self._name]

    def _living(self, others: list[str], dead: _Dead) -> list[Snapshot]:
        asked: dict[str, socket.socket | None] = {}
        gone: dict[str, tuple[Snapshot, bool]] = {}
        for name in others:
            if name in dead.names:
                continue
            # Before looking for the last collection, which is written before the lock is free.
            locked = _is_locked(self._folder / f"{name}.lock")
            last = self._last(name)
            if last is not None:
                gone[name] = last, True
            elif not locked:
                gone[name] = self._estimated(name, dead.total.resource), False
            else:
                asked[name] = self._asked(name)
        if gone:
            dead.fold(gone)
            for name in gone:
                self._snapshots.pop(name, None)
        deadline = monotonic() + _ANSWER_SECONDS
        living = []
        for name, connection in asked.items():
            answer = None if connection is None else _received(connection, deadline)
            if answer is None:
                answer = self._estimated(name, dead.total.resource)
            self._snapshots[name] = answer
            living.append(answer)
        return living

    def _last(self, name: str) -> Snapshot | None:
        try:
            return loads((self._folder / f"{name}.last").read_bytes())
        except FileNotFoundError:
            return None

    def _asked(self, name: str) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_ANSWER_SECONDS)
        try:
            connection.connect(str(self._folder / f"{name}.socket"))
        except OSError:
            connection.close()
            return None
        return connection

    def _estimated(self, name: str, resource: Resource) -> Snapshot:
        """The last known snapshot of a process that does not answer, with the current numbers of its file."""
        known = self._snapshots.get(name) or Snapshot(resource)
        estimated = Snapshot(known.resource, dict(known.series))
        with suppress(FileNotFoundError):
            cells = shared_cells.read_series(self._folder / f"{name}.cells")
            for family, points in snapshot_of_cells(resource, cells, time_ns()).series.items():
                estimated.series[family] = {**estimated.series.get(family, {}), **points}
        return estimated


class _Dead:
    """The sums of the processes that have ended, also in a file, for the next process that serves."""

    def __init__(self, folder: Path, resource: Resource) -> None:
        self._folder = folder
        self.names: set[str] = set()
        self.total = Snapshot(resource)
        self.ended: list[Snapshot] = []
        try:
            content = json.loads((folder / "dead").read_bytes())
        except FileNotFoundError:
            # The resource is that of the first process that serves, and stays.
            self._save()
            return
        self.names = set(content["names"])
        self.total = from_json(content["total"])
        self.ended = [from_json(each) for each in content["ended"]]
        self._remove(self.names)

    def fold(self, gone: dict[str, tuple[Snapshot, bool]]) -> None:
        """Add processes that have ended, each with whether it ended in order; their files are removed."""
        for snapshot, in_order in gone.values():
            self.total.add(snapshot, lambda family: family.adds_up and not family.of_each_process)
            if in_order:
                self.ended.append(snapshot.only(_is_heartbeat))
        self.ended = self.ended[-_MOST_ENDED:]
        # With the names: the files of a process that is already in the sum must not be added again.
        self.names |= gone.keys()
        if self._save():
            self._remove(gone.keys())

    def _save(self) -> bool:
        content = {
            "names": sorted(self.names),
            "total": to_json(self.total),
            "ended": [to_json(each) for each in self.ended],
        }
        try:
            _write(self._folder / "dead", json.dumps(content, default=str).encode())
        except OSError:
            # The files stay until it can be written.
            return False
        return True

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            for suffix in ("last", "cells", "socket", "lock"):
                with suppress(FileNotFoundError):
                    (self._folder / f"{name}.{suffix}").unlink()
        # Those whose files are gone are not found again.
        self.names = {name for name in self.names if (self._folder / f"{name}.lock").exists()}


class _FileLock:
    """A lock that is released when the process ends, however it does.

    Args:
        path: The file, which is created.

    Raises:
        OSError: It cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._identity = forks.identity(self._descriptor)

    def acquire(self, *, shared: bool = False) -> None:
        """Wait for the lock."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)

    def try_acquire(self) -> bool:
        """Whether no other process has the lock, which this one has then."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Release the lock, or leave it to the parent in a forked process."""
        forks.close_inherited(self._descriptor, self._identity)


def _is_locked(path: Path) -> bool:
    lock = _FileLock(path)
    try:
        return not lock.try_acquire()
    finally:
        lock.close()


def join(identity: str) -> ProcessGroup | None:
    """The group of the process that started this one, or a new one; `None` if this machine has no place for it.

    Args:
        identity: What the processes have in common: service and endpoint.
    """
    mark = f"{_PREFIX}{sha256(identity.encode()).hexdigest()[:12]}-"
    try:
        folder = Path(os.environ.get(VARIABLE, ""))
        if folder.name.startswith(mark):
            with suppress(FileNotFoundError):
                lock = _FileLock(folder / "group")
                lock.acquire(shared=True)
                return ProcessGroup(folder, first=False, lock=lock)
        return _new_group(mark)
    except OSError as error:
        _logger.warning("trust-otel: other processes of this service are missing from the metrics endpoint (%s)", error)
        return None


def _new_group(mark: str) -> ProcessGroup:
    base = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    _sweep(base)
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=base))
    lock = _FileLock(made / "group")
    lock.acquire(shared=True)
    # Only now can it be swept.
    folder = made.rename(base / f"{mark}{made.name.removeprefix('.new-')}")
    try:
        group = ProcessGroup(folder, first=True, lock=lock)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    os.environ[VARIABLE] = str(folder)
    return group


def _sweep(base: Path) -> None:
    """Remove folders of groups without a living process. Those of other users, who could put links in them, stay."""
    for group in base.glob(f"{_PREFIX}*/group"):
        with suppress(OSError):
            if group.parent.stat(follow_symlinks=False).st_uid != os.getuid():
                continue
            lock = _FileLock(group)
            if lock.try_acquire():
                shutil.rmtree(group.parent)
            lock.close()


def _write(path: Path, content: bytes) -> None:
    """Replace a file at once."""
    new = path.with_name(f"{path.name}.part")
    try:
        new.write_bytes(content)
        new.rename(path)
    finally:
        new.unlink(missing_ok=True)


def _received(connection: socket.socket, deadline: float) -> Snapshot | None:
    parts: list[bytes] = []
    try:
        with connection:
            while True:
                connection.settimeout(max(0.01, deadline - monotonic()))
                part = connection.recv(1 << 16)
                if not part:
                    return loads(b"".join(parts))
                parts.append(part)
    except (OSError, ValueError):
        return None


def _is_heartbeat(family: Family) -> bool:
    return family.name == TRUST_OTEL_INSTANCE_UP.name
