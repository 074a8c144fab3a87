"""Builds an executable into the cache by the steps of its recipe."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from trust_ops.private_files import ForeignFolderError, changeable_by_others, open_private, private_folder
from trust_ops.stack.errors import BinaryUnavailable, BuildError
from trust_ops.stack.locks import exclusive
from trust_ops.stack.recipes import Binary, Step

Progress = Callable[[str], None]

# Seconds between progress lines of a running step.
_HEARTBEAT = 15.0
_LAST_LINES = 15


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where executables are cached: `$XDG_CACHE_HOME/trust-otel`, else `~/.cache/trust-otel`."""
    base = environ.get("XDG_CACHE_HOME", "")
    # The XDG specification requires relative paths to be ignored.
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return root / "trust-otel"


def cached(binary: Binary, cache: Path) -> Path:
    """The path of the executable in the cache, whether or not it exists.

    Version and fingerprint are part of the name, so a changed manifest or go.mod leads to a new
    build.
    """
    return cache / "bin" / f"{binary.name}-{binary.version}-{binary.recipe.fingerprint()}"


def build(binary: Binary, cache: Path, environ: Mapping[str, str], on_progress: Progress) -> Path:
    """Build the executable unless it is cached, and return its path.

    A lock makes concurrent builds of the same executable wait for the first one.
    Raises BinaryUnavailable without the recipe's tool, BuildError when a step fails.
    """
    tool = binary.recipe.tool
    if shutil.which(tool.program, path=environ.get("PATH")) is None:
        raise BinaryUnavailable(
            f"{binary.title} {binary.version} was not found, and {tool.title} is not installed to {tool.verb} it.\n"
            f"{remedies(binary)}"
        )
    target = cached(binary, cache)
    lock = cache / "locks" / f"{binary.name}.lock"
    _prepare(cache)
    with exclusive(
        lock,
        lambda: on_progress(f"{binary.title}: waiting for another process to {tool.verb} it"),
    ):
        if not usable(target):
            _build(binary, target, cache, environ, on_progress)
    return target


def usable(executable: Path) -> bool:
    """Whether the executable is in the cache and only this user can have written it."""
    return executable.is_file() and not changeable_by_others(executable)


def _prepare(cache: Path) -> None:
    try:
        for folder in (cache, *(cache / name for name in ("bin", "locks", "logs", "build"))):
            private_folder(folder, 0o755)
    except ForeignFolderError as error:
        raise BinaryUnavailable(f"{error} with XDG_CACHE_HOME") from error


def remedies(binary: Binary) -> str:
    """What the user can do when the executable is unavailable."""
    return (
        f"Either {binary.recipe.tool.remedy},\n"
        f"or set {binary.variable} to the path of {binary.on_path[-1]} {binary.version},\n"
        "or run the stack with Docker (monitoring/compose)."
    )


def _build(binary: Binary, target: Path, cache: Path, environ: Mapping[str, str], on_progress: Progress) -> None:
    log = cache / "logs" / f"{binary.name}.log"
    work = Path(tempfile.mkdtemp(prefix=f"{binary.name}-", dir=cache / "build"))
    started = time.monotonic()
    try:
        for file in binary.recipe.files:
            shutil.copy(file, work)
        for folder in binary.recipe.folders:
            shutil.copytree(folder, work / folder.name)
        with open(log, "w", opener=open_private) as output:
            for step in binary.recipe.steps:
                _run(
                    binary,
                    step,
                    work,
                    _environment(environ, work),
                    output.fileno(),
                    log,
                    on_progress,
                )
        # On the same file system, so the rename is atomic.
        os.replace(work / "bin" / binary.recipe.executable, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    done = binary.recipe.tool.participle
    on_progress(f"{binary.title} {binary.version}: {done} in {time.monotonic() - started:.0f} s")


def _environment(environ: Mapping[str, str], work: Path) -> dict[str, str]:
    return {
        **environ,
        # No C compiler is needed, and the executable runs on every Linux.
        "CGO_ENABLED": "0",
        "GOBIN": str(work / "bin"),
        # A go.work above the cache must not affect the build.
        "GOWORK": "off",
    }


def _run(
    binary: Binary,
    step: Step,
    work: Path,
    environment: dict[str, str],
    output: int,
    log: Path,
    on_progress: Progress,
) -> None:
    started = time.monotonic()
    on_progress(f"{binary.title} {binary.version}: {step.title}")
    # A new session, so that killing its process group also kills the compilers.
    process = subprocess.Popen(  # noqa: S603 - a command of a recipe
        step.command,
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        umask=0o022,
    )
    try:
        while True:
            try:
                code = process.wait(timeout=_HEARTBEAT)
                break
            except subprocess.TimeoutExpired:
                seconds = time.monotonic() - started
                on_progress(f"{binary.title} {binary.version}: {step.title}, {seconds:.0f} s")
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if code != 0 and not step.may_fail:
        raise BuildError(_failure(binary, step, code, log))


def _failure(binary: Binary, step: Step, code: int, log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
    quoted = "\n".join(f"    {line}" for line in lines)
    return (
        f"{binary.title} {binary.version} could not be {binary.recipe.tool.participle}: "
        f"{step.title} ended with exit status {code}.\n"
        f"{quoted}\n"
        f"Full log: {log}\n"
        f"{remedies(binary)}"
    )
