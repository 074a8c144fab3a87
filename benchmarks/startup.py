"""CPU seconds of a start with `opentelemetry-instrument`, with trust-otel and with the stock distro.

    python -m benchmarks.startup [--rounds 15] [--folder FOLDER]

Creates two environments with the same libraries and instrumentations (in `--folder`, or a temporary folder), and starts
the same programs alternately in both. Both push metrics to a receiver on loopback. `plain` is the program without
`opentelemetry-instrument`.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, cast

from rich.console import Console
from rich.table import Table

_REPOSITORY = Path(__file__).parents[1]
_WORKERS = 4

# The dependencies of trust-otel, and the imports of the programs.
_PACKAGES = (
    "opentelemetry-sdk==1.45.1",
    "opentelemetry-exporter-otlp==1.45.1",
    "opentelemetry-exporter-prometheus==0.66b1",
    "opentelemetry-instrumentation-fastapi==0.66b1",
    "opentelemetry-instrumentation-grpc==0.66b1",
    "opentelemetry-instrumentation-sqlalchemy==0.66b1",
    "opentelemetry-instrumentation-system-metrics==0.66b1",
    "cryptography>=45",
    "fastapi>=0.115",
    "grpcio>=1.85.1",
    "sqlalchemy>=2.0,<2.1",
    "uvicorn>=0.38",
)
_DISTROS = {"stock": ["opentelemetry-distro==0.66b1"], "trust-otel": ["--editable", str(_REPOSITORY)]}

_PROGRAMS = {
    "pass": "pass",
    "FastAPI": "import fastapi",
    "gRPC": "import grpc",
    "SQLAlchemy": "import sqlalchemy",
    "all of them": "import fastapi, grpc, sqlalchemy, cryptography.x509",
    "resource tracker": "from multiprocessing.resource_tracker import main;main(0)",
}
_APPLICATION = "from fastapi import FastAPI\n\napp = FastAPI()\n"
_SERVER = f"uvicorn, {_WORKERS} workers"


def main() -> None:
    """Print a table of CPU seconds by program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path, help="folder of the environments; by default a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, _receiver() as endpoint:
        folder = options.folder or Path(temporary)
        for name in _DISTROS:
            _make_environment(folder / name, name)
        (folder / "application.py").write_text(_APPLICATION)
        measured = _measure(folder, endpoint, options.rounds)
    _print(measured, options.rounds)


def _make_environment(folder: Path, name: str) -> None:
    uv = str(_REPOSITORY / ".venv-uv/bin/uv")
    if not Path(uv).exists():
        uv = shutil.which("uv") or sys.exit("this needs uv, which `make test` installs")
    python = str(folder / "bin/python")
    if not Path(python).exists():
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
    _run(uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *_PACKAGES, *_DISTROS[name])


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 - our own command


class _Accepting(BaseHTTPRequestHandler):
    """Responds to every export with success."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the base class
        """Do not log requests."""


@contextmanager
def _receiver() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Accepting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _measure(folder: Path, endpoint: str, rounds: int) -> Mapping[str, Mapping[str, list[float]]]:
    """CPU seconds of each round, by program and variant."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "OTEL_SERVICE_NAME": "startup",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    measured: dict[str, dict[str, list[float]]] = {}
    # The first round is not counted, because it fills the caches.
    for number in range(rounds + 1):
        for name in (*_PROGRAMS, _SERVER):
            for variant in ("plain", *_DISTROS):
                seconds = _seconds(_command(folder, variant, name), folder, environment, server=name == _SERVER)
                if number:
                    measured.setdefault(name, {}).setdefault(variant, []).append(seconds)
    return measured


def _command(folder: Path, variant: str, name: str) -> list[str]:
    binaries = folder / ("stock" if variant == "plain" else variant) / "bin"
    launcher = [] if variant == "plain" else [str(binaries / "opentelemetry-instrument")]
    if name == _SERVER:
        options = ["--port", "0", "--workers", str(_WORKERS), "--timeout-worker-healthcheck", "60"]
        return [*launcher, str(binaries / "python"), "-m", "uvicorn", "application:app", *options]
    return [*launcher, str(binaries / "python"), "-c", _PROGRAMS[name]]


def _seconds(command: list[str], folder: Path, environment: Mapping[str, str], *, server: bool) -> float:
    """CPU seconds of a process and its children, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        errors = cast("IO[str]", process.stderr)
        if server:
            started = sum("Application startup complete" in line for line in _until_started(errors))
            if started != _WORKERS:
                raise SystemExit(f"{command} started {started} workers instead of {_WORKERS}")
            process.terminate()
        errors.read()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _until_started(lines: IO[str]) -> Iterator[str]:
    """The lines of a log until all workers have started."""
    started = 0
    while started < _WORKERS and (line := lines.readline()):
        started += "Application startup complete" in line
        yield line


def _print(measured: Mapping[str, Mapping[str, list[float]]], rounds: int) -> None:
    table = Table(title=f"CPU seconds of a start, minimum / median of {rounds} rounds")
    for column in ("program", "plain", *_DISTROS, "trust-otel / stock, median of pairs"):
        table.add_column(column, justify="left" if column == "program" else "right")
    for name, variants in measured.items():
        seconds = [f"{min(taken):.2f} / {statistics.median(taken):.2f}" for taken in variants.values()]
        pairs = zip(variants["trust-otel"], variants["stock"], strict=True)
        table.add_row(name, *seconds, f"{statistics.median(ours / theirs for ours, theirs in pairs):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
