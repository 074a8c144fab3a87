"""Uses memory of the host, or the space of a small file system, for a limited time."""

from __future__ import annotations

import mmap
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_MEBIBYTE = 1024 * 1024
_CHUNK = 256 * _MEBIBYTE
_BLOCK = bytes(16 * _MEBIBYTE)
# Above the alert's 85 %, with enough memory left.
_MEMORY_SHARE = 0.88
# On a virtual machine, the first use of memory may take minutes.
_MAX_SECONDS = 300.0
_DISK_BYTES = 16 * _MEBIBYTE
_DISK_SHARE = 0.95


@contextmanager
def memory_taken() -> Iterator[None]:
    """Start a process that allocates memory until more than 85 % is in use. It exits after five minutes at the latest.

    The process accounts for memory used by others, and is the first that the kernel's OOM killer selects.
    """
    process = subprocess.Popen([sys.executable, "-m", __name__], stdin=subprocess.PIPE)  # noqa: S603 - this module
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _take_memory() -> None:
    Path("/proc/self/oom_score_adj").write_text("1000")
    until = time.monotonic() + _MAX_SECONDS
    held: list[mmap.mmap] = []
    while time.monotonic() < until:
        memory = psutil.virtual_memory()
        missing = _MEMORY_SHARE * memory.total - (memory.total - memory.available)
        if missing > _CHUNK:
            held.append(_chunk())
        elif missing < -_CHUNK and held:
            held.pop().close()
        else:
            time.sleep(0.1)


def _chunk() -> mmap.mmap:
    chunk = mmap.mmap(-1, _CHUNK)
    # The kernel allocates a page on the first write.
    for _ in range(_CHUNK // len(_BLOCK)):
        chunk.write(_BLOCK)
    return chunk


@contextmanager
def disk_filled(mountpoint: Path) -> Iterator[None]:
    """Mount a file system of 16 MiB and fill it.

    Raises CalledProcessError if this user may not mount.
    """
    mountpoint.mkdir(parents=True)
    subprocess.run(  # noqa: S603
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "trust-otel-drill", str(mountpoint)],  # noqa: S607
        check=True,
        capture_output=True,
    )
    try:
        (mountpoint / "log").write_bytes(b"x" * int(_DISK_BYTES * _DISK_SHARE))
        yield
    finally:
        with suppress(FileNotFoundError):
            (mountpoint / "log").unlink()
        subprocess.run(["umount", str(mountpoint)], check=False, capture_output=True)  # noqa: S603, S607
        mountpoint.rmdir()


if __name__ == "__main__":
    _take_memory()
