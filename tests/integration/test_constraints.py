"""The constraints file is up to date, and keeps OpenTelemetry's versions whatever is installed with it."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest

from tools import constraints

_ROOT = Path(__file__).parents[2]


def _versions(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(opentelemetry-[\w-]+)==(\S+)", text, re.MULTILINE))


def _own_requirements() -> list[str]:
    parser = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = parser.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *extras["sqlalchemy"], *extras["file"]]


def _resolved(*requirements: str) -> dict[str, str]:
    command = [
        constraints.uv(),
        "pip",
        "compile",
        "-q",
        "--no-header",
        "--no-annotate",
        "-c",
        str(constraints.FILE),
        "-",
    ]
    text = "\n".join([*_own_requirements(), *requirements])
    ended = subprocess.run(command, input=text, capture_output=True, text=True, check=False, cwd=_ROOT)
    assert ended.returncode == 0, ended.stderr
    return _versions(ended.stdout)


def test_file_is_up_to_date() -> None:
    assert constraints.FILE.read_text(encoding="utf-8") == constraints.content(), "run `make generate`"


def test_file_is_part_of_the_package() -> None:
    assert Path(str(files("trust_otel") / "constraints.txt")) == constraints.FILE


def test_every_package_of_opentelemetry_is_constrained_to_one_release() -> None:
    versions = _versions(constraints.FILE.read_text(encoding="utf-8"))
    assert _resolved().keys() == versions.keys()
    assert set(versions.values()) == {versions["opentelemetry-sdk"], versions["opentelemetry-instrumentation"]}


def _bootstrap() -> list[str]:
    command = [str(Path(sys.executable).with_name("opentelemetry-bootstrap")), "-a", "requirements"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize(
    "requirements",
    [
        ["opentelemetry-instrumentation-flask"],
        ["opentelemetry-instrumentation-django", "opentelemetry-instrumentation-celery"],
        ["opentelemetry-instrumentation-aiohttp-server", "opentelemetry-instrumentation-aiohttp-client"],
        ["opentelemetry-instrumentation-openai-v2"],
        ["opentelemetry-distro"],
    ],
    ids=" ".join,
)
def test_instrumentation_without_a_version_keeps_the_constrained_versions(requirements: list[str]) -> None:
    _check(requirements)


def test_bootstrap_keeps_the_constrained_versions() -> None:
    requirements = _bootstrap()
    assert len(requirements) > 10
    _check(requirements)


def _check(requirements: list[str]) -> None:
    versions = _versions(constraints.FILE.read_text(encoding="utf-8"))
    resolved = _resolved(*requirements)
    assert {name: version for name, version in resolved.items() if name in versions} == versions
    assert resolved.keys() >= {re.split(r"[=><]", requirement)[0] for requirement in requirements}
