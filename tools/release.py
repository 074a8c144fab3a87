"""Builds the wheels of a release into `dist/`, installs each into an empty environment, and writes an SBOM.

Run by `make release`, in the environment of the dependency group `release`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
_DIST: Final = _ROOT / "dist"
_MIB: Final = 1024 * 1024


class ReleaseError(Exception):
    """A wheel that must not be published."""


@dataclass(frozen=True)
class Wheel:
    """One of the two distributions.

    Attributes:
        name: Name of the distribution.
        project: Folder of its `pyproject.toml`.
        package: Name of its import package.
        commands: Command lines that must succeed after installation.
    """

    name: str
    project: Path
    package: str
    commands: tuple[tuple[str, ...], ...] = ()

    @property
    def file(self) -> Path:
        """The built wheel."""
        (file,) = _DIST.glob(f"{self.name.replace('-', '_')}-[0-9]*.whl")
        return file


SERVICE: Final = Wheel("trust-otel", _ROOT, "trust_otel")
OPERATIONS: Final = Wheel(
    "trust-otel-ops",
    _ROOT / "trust_ops",
    "trust_ops",
    (("trust-otel", "--help"), ("trust-otel", "stack", "--help")),
)


@dataclass(frozen=True)
class Environment:
    """A virtual environment for wheels."""

    uv: str
    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def create(self) -> None:
        """Create the empty environment."""
        _run(self.uv, "venv", "-q", "--python", sys.executable, str(self.folder))

    def install(self, *wheels: Wheel) -> None:
        """Install wheels, with the newest allowed versions of their dependencies."""
        _run(self.uv, "pip", "install", "-q", "--python", str(self.python), *(str(wheel.file) for wheel in wheels))
        for origin in self.folder.rglob("direct_url.json"):
            origin.unlink()  # it contains a local path, which must not be in the SBOM

    def packages(self) -> int:
        """Number of installed distributions."""
        listed = _run(self.uv, "pip", "list", "-q", "--format", "freeze", "--python", str(self.python))
        return len(listed.splitlines())

    def mebibytes(self) -> float:
        """Size of all installed files."""
        return sum(file.stat().st_size for file in (self.folder / "lib").rglob("*") if file.is_file()) / _MIB


def release(uv: str) -> None:
    """Build, check and describe both wheels.

    Args:
        uv: The `uv` executable.

    Raises:
        ReleaseError: If a wheel must not be published.
    """
    shutil.rmtree(_DIST, ignore_errors=True)
    for wheel in (SERVICE, OPERATIONS):
        _run(uv, "build", "-q", "--wheel", "--out-dir", str(_DIST), str(wheel.project))
    _run(_tool("twine"), "check", "--strict", str(SERVICE.file), str(OPERATIONS.file))
    with tempfile.TemporaryDirectory() as folder:
        _check(Environment(uv, Path(folder, "service")), SERVICE)
        _check(Environment(uv, Path(folder, "operations")), OPERATIONS, needs=(SERVICE,))


def _check(environment: Environment, wheel: Wheel, needs: tuple[Wheel, ...] = ()) -> None:
    environment.create()
    environment.install(wheel, *needs)
    _run(str(environment.python), "-c", f"import {wheel.package}")
    command = environment.folder / "bin" / "trust-otel"
    if command.exists() != bool(wheel.commands):
        raise ReleaseError(f"{wheel.name}: only {OPERATIONS.name} may have the command `trust-otel`")
    for name, *arguments in wheel.commands:
        _run(str(environment.folder / "bin" / name), *arguments)
    bill = wheel.file.with_suffix(".cdx.json")
    _run(
        *(_tool("cyclonedx-py"), "environment", "--output-reproducible"),
        *("--mc-type", "application" if wheel.commands else "library"),
        *("--pyproject", str(wheel.project / "pyproject.toml"), "--output-file", str(bill), str(environment.python)),
    )
    _show(environment, wheel, bill)


def _show(environment: Environment, wheel: Wheel, bill: Path) -> None:
    size = wheel.file.stat().st_size / _MIB
    print(f"{wheel.file.name}: {size:.2f} MiB")  # noqa: T201
    print(f"  installed: {environment.packages()} packages, {environment.mebibytes():.1f} MiB")  # noqa: T201
    print(f"  contents:  {bill.name}")  # noqa: T201


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_DIST.parent)  # noqa: S603
    if done.returncode:
        raise ReleaseError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Read the command line and release."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", required=True, help="the uv executable")
    try:
        release(str(Path(parser.parse_args().uv).absolute()))
    except ReleaseError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
