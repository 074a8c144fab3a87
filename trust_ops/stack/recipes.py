"""The executables of the stack: pinned versions, and the Go builds or Debian packages that they come from.

The steps of a recipe run in a temporary directory with copies of its files and folders, and put the executable into
`bin/`.
"""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trust_ops.stack import files

# The version that the go.mod files of all components ask for.
MINIMUM_GO = "1.25"


@dataclass(frozen=True)
class Step:
    """One command of a build, with a title for progress lines."""

    title: str
    command: tuple[str, ...]
    may_fail: bool = False


@dataclass(frozen=True)
class Tool:
    """The tool that the steps of a recipe need on PATH, with its wording for messages."""

    program: str
    title: str
    verb: str
    participle: str
    remedy: str


GO = Tool("go", "Go", "build", "built", f"install Go {MINIMUM_GO} or later (https://go.dev/dl) and try again")
APT = Tool("apt-get", "apt-get", "fetch", "fetched", "run this on Debian 12, which has the package")


@dataclass(frozen=True)
class Recipe:
    """How to obtain one executable."""

    executable: str
    steps: tuple[Step, ...]
    files: tuple[Path, ...] = ()
    folders: tuple[Path, ...] = ()
    tool: Tool = GO

    def fingerprint(self) -> str:
        """A hash of everything that determines the result: commands, files, platform."""
        digest = hashlib.sha256(f"{platform.system()} {platform.machine()}".encode())
        for step in self.steps:
            digest.update(repr(step.command).encode())
        for file in (*self.files, *(file for folder in self.folders for file in sorted(folder.iterdir()))):
            digest.update(file.read_bytes())
        return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Binary:
    """An executable of the stack.

    `on_path` are the names of installed executables, in order of preference. A later compatible version is accepted
    unless `exact`.
    """

    name: str
    title: str
    version: str
    on_path: tuple[str, ...]
    recipe: Recipe
    exact: bool = False

    @property
    def variable(self) -> str:
        """The environment variable with an explicit path."""
        return f"TRUST_OTEL_{self.name.upper()}_BINARY"


def binaries() -> dict[str, Binary]:
    """Every executable of the stack by name."""
    every = (
        _collector(),
        *_prometheus(),
        *_alertmanager(),
        _node_exporter(),
        _postgres_exporter(),
        _redis_exporter(),
        _oldest_promtool(),
        _softhsm(),
        _kustomize(),
    )
    return {binary.name: binary for binary in every}


def _collector() -> Binary:
    version = "0.155.0"
    builder = f"go.opentelemetry.io/collector/cmd/builder@v{version}"
    recipe = Recipe(
        executable="otelcol-trust",
        steps=(
            Step("fetching the builder", ("go", "install", "-trimpath", builder)),
            # It ends with a `go mod tidy`, which also needs modules that only tests use, and fails
            # where one of them is unavailable. The sources are complete by then, and the next step
            # resolves what the build needs.
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
        folders=(files.collector_extension(),),
    )
    return Binary(
        "collector",
        "OpenTelemetry Collector",
        version,
        # Not otelcol-contrib, which lacks queue_check.
        ("otelcol-trust",),
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
        # Service discovery: file and http are always included; Kubernetes is added, the cloud
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
    recipe = _go_install(name, version, f"github.com/prometheus/alertmanager/cmd/{name}")
    return Binary(name, title, version, (name,), recipe)


def _node_exporter() -> Binary:
    version = "1.12.1"
    recipe = _go_install("node_exporter", version, "github.com/prometheus/node_exporter")
    return Binary("node_exporter", "node_exporter", version, ("prometheus-node-exporter", "node_exporter"), recipe)


def _go_install(executable: str, version: str, package: str) -> Recipe:
    command = (
        "go",
        "install",
        "-trimpath",
        f"-ldflags=-s -w -X github.com/prometheus/common/version.Version={version}",
        f"{package}@v{version}",
    )
    return Recipe(executable, (Step("compiling", command),))


def _postgres_exporter() -> Binary:
    version = "0.11.1"
    recipe = _debian("prometheus-postgres-exporter", version, "prometheus-postgres-exporter")
    return Binary(
        "postgres_exporter",
        "postgres_exporter",
        version,
        ("prometheus-postgres-exporter", "postgres_exporter"),
        recipe,
    )


def _redis_exporter() -> Binary:
    version = "1.45.0"
    recipe = _debian("prometheus-redis-exporter", version, "prometheus-redis-exporter")
    return Binary("redis_exporter", "redis_exporter", version, ("prometheus-redis-exporter", "redis_exporter"), recipe)


def _oldest_promtool() -> Binary:
    """promtool of the oldest Prometheus that the rules must work with; only tests use it."""
    version = "2.42.0"
    recipe = _debian("prometheus", version, "promtool")
    return Binary("promtool_2_42", "promtool", version, ("promtool",), recipe, exact=True)


def _kustomize() -> Binary:
    """kustomize, which renders monitoring/k8s/base; only `make generate` and tests use it."""
    version = "5.8.1"
    recipe = _go_install("kustomize", version, "sigs.k8s.io/kustomize/kustomize/v5")
    # Not from PATH: another version sorts and quotes differently.
    return Binary("kustomize", "kustomize", version, (), recipe)


def _softhsm() -> Binary:
    """SoftHSM's PKCS#11 module, the HSM of the tests, the demo and the drill."""
    version = "2.6.1"
    recipe = _debian("libsofthsm2", version, "libsofthsm2.so", folder="usr/lib/*/softhsm")
    return Binary("softhsm", "SoftHSM", version, ("libsofthsm2.so",), recipe)


def _debian(package: str, version: str, executable: str, *, folder: str = "usr/bin") -> Recipe:
    """The executable of a Debian package, without installing the package."""
    return _from_debian({package: version}, executable, f"mv unpacked/{folder} bin")


def debian_packages(versions: Mapping[str, str], archive: str) -> Recipe:
    """A tar archive of what Debian packages contain, without installing them.

    Args:
        versions: The upstream version of each package.
        archive: Name of the archive.
    """
    return _from_debian(versions, archive, f"mkdir bin && tar --create --file=bin/{archive} --directory=unpacked .")


def _from_debian(versions: Mapping[str, str], executable: str, last_command: str) -> Recipe:
    """Packages that are downloaded and unpacked without root.

    The machine's own package lists may be empty or outdated, so current ones are downloaded into the build directory.
    """
    apt_get = (
        "apt-get",
        "--quiet",
        *("-o", "Dir::State=./apt"),
        *("-o", "Dir::Cache=./apt"),
        # Independent of the packages installed on this machine.
        *("-o", "Dir::State::status=/dev/null"),
        # As root, apt-get would switch to a user that cannot write to this directory.
        *("-o", "APT::Sandbox::User="),
    )
    wanted = tuple(f"{package}={version}*" for package, version in versions.items())
    unpack = "for package in ./*.deb; do dpkg-deb --extract $package unpacked; done"
    steps = (
        Step("downloading Debian's package lists", (*apt_get, "update")),
        Step(f"downloading {', '.join(versions)}", (*apt_get, "download", *wanted)),
        Step("unpacking", ("sh", "-ec", f"{unpack}; {last_command}")),
    )
    return Recipe(executable, steps, tool=APT)


# Without file paths, symbol table and debug information: the same bytes on every machine, a third
# smaller.
_SMALL = ("-trimpath", "-ldflags=-s -w")
