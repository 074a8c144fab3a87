"""The executables of the stack: pinned versions, and the Go builds that make them.

A recipe is data. Its steps run in an empty folder that holds copies of its files, and leave the
executable in `bin/`.
"""

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

from trust_otel.stack import files

# The version that the go.mod files of all components ask for.
MINIMUM_GO = "1.25"


@dataclass(frozen=True)
class Step:
    """One command of a build, and how to name it to the user."""

    title: str
    command: tuple[str, ...]
    may_fail: bool = False


@dataclass(frozen=True)
class Recipe:
    """How to build one executable."""

    executable: str
    steps: tuple[Step, ...]
    files: tuple[Path, ...] = ()

    def fingerprint(self) -> str:
        """A hash of all that decides what comes out: commands, files, platform."""
        digest = hashlib.sha256(f"{platform.system()} {platform.machine()}".encode())
        for step in self.steps:
            digest.update(repr(step.command).encode())
        for file in self.files:
            digest.update(file.read_bytes())
        return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Binary:
    """An executable of the stack.

    `on_path` are the names it goes by when it is installed on the machine, best first.
    """

    name: str
    title: str
    version: str
    on_path: tuple[str, ...]
    recipe: Recipe

    @property
    def variable(self) -> str:
        """The environment variable that names the executable explicitly."""
        return f"TRUST_OTEL_{self.name.upper()}_BINARY"


def binaries() -> dict[str, Binary]:
    """Every executable of the stack by name."""
    every = (_collector(), *_prometheus(), *_alertmanager())
    return {binary.name: binary for binary in every}


def _collector() -> Binary:
    version = "0.155.0"
    builder = f"go.opentelemetry.io/collector/cmd/builder@v{version}"
    recipe = Recipe(
        executable="otelcol-trust",
        steps=(
            Step("fetching the builder", ("go", "install", "-trimpath", builder)),
            # It ends with a `go mod tidy`, which also wants modules that only tests need, and fails
            # where one of them cannot be had. The sources are complete by then, and the next step
            # resolves what it really needs.
            Step(
                "generating sources",
                ("bin/builder", "--config=builder.yaml", "--skip-compilation"),
                may_fail=True,
            ),
            Step(
                "compiling",
                (
                    "go",
                    "build",
                    "-C=otelcol-trust",
                    "-mod=mod",
                    *_SMALL,
                    "-o=../bin/otelcol-trust",
                    ".",
                ),
            ),
        ),
        files=(files.collector_manifest(),),
    )
    return Binary(
        "collector",
        "OpenTelemetry Collector",
        version,
        ("otelcol-trust", "otelcol-contrib"),
        recipe,
    )


def _prometheus() -> tuple[Binary, Binary]:
    return _prometheus_tool("prometheus", "Prometheus"), _prometheus_tool("promtool", "promtool")


def _prometheus_tool(name: str, title: str) -> Binary:
    version = "3.12.0"
    command = (
        "go",
        "build",
        "-mod=readonly",
        "-trimpath",
        # Of the service discoveries, file and http are always in; Kubernetes is added, the cloud
        # providers are left out.
        "-tags=remove_all_sd,enable_kubernetes_sd",
        f"-ldflags=-s -w -X github.com/prometheus/common/version.Version={version}",
        f"-o=bin/{name}",
        f"github.com/prometheus/prometheus/cmd/{name}",
    )
    recipe = Recipe(executable=name, steps=(Step("compiling", command),), files=files.go_module("prometheus"))
    return Binary(name, title, version, (name,), recipe)


def _alertmanager() -> tuple[Binary, Binary]:
    return _alertmanager_tool("alertmanager", "Alertmanager"), _alertmanager_tool("amtool", "amtool")


def _alertmanager_tool(name: str, title: str) -> Binary:
    version = "0.31.1"
    command = (
        "go",
        "install",
        "-trimpath",
        f"-ldflags=-s -w -X github.com/prometheus/common/version.Version={version}",
        f"github.com/prometheus/alertmanager/cmd/{name}@v{version}",
    )
    return Binary(name, title, version, (name,), Recipe(name, (Step("compiling", command),)))


# Without file paths, symbol table and debug information: the same bytes on every machine, a third
# smaller.
_SMALL = ("-trimpath", "-ldflags=-s -w")
