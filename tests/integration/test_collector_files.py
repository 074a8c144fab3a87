"""The Collector accepts every file in collector/, without settings and with all of them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from trust_ops.stack.binaries import find
from trust_ops.stack.recipes import binaries

_FOLDER = Path(__file__).parents[2] / "collector"
_VARIABLE = re.compile(r"\$\{env:([A-Z0-9_]+)(?::-[^}]*)?\}")

_CONFIGURATIONS = [
    ("agent.yaml",),
    ("agent.yaml", "agent-queue-check.yaml"),
    ("gateway.yaml",),
    ("gateway.yaml", "gateway-queue-check.yaml"),
    ("gateway.yaml", "gateway-loki.yaml"),
    ("gateway.yaml", "gateway-traces.yaml"),
    ("gateway.yaml", "gateway-remote-write.yaml"),
    (
        "gateway.yaml",
        "gateway-queue-check.yaml",
        "gateway-loki.yaml",
        "gateway-traces.yaml",
        "gateway-remote-write.yaml",
    ),
]


def _validated(names: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    collector = find(binaries()["collector"], os.environ, print)
    command = [str(collector), "validate", *(f"--config={_FOLDER / name}" for name in names)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _variables(names: tuple[str, ...]) -> set[str]:
    return {variable for name in names for variable in _VARIABLE.findall((_FOLDER / name).read_text())}


def _value(variable: str) -> str:
    if variable.endswith(("PROMETHEUS_ENDPOINT", "LOKI_ENDPOINT", "REMOTE_WRITE_ENDPOINT")):
        return "https://stores.example:8443/path"
    if variable.endswith("_ENDPOINT"):
        return "127.0.0.1:14317"
    if variable.endswith(("_PORT", "_SIZE")):
        return "12345"
    if variable.endswith("_WITHOUT_KUBERNETES"):
        return "true"
    return "/srv/value"


def test_every_file_is_in_a_tested_configuration() -> None:
    files = {path.name for path in _FOLDER.glob("*.yaml")} - {"builder.yaml", "local.yaml"}
    assert files == {name for names in _CONFIGURATIONS for name in names}


@pytest.mark.parametrize("names", _CONFIGURATIONS, ids=" + ".join)
def test_it_is_valid_without_settings(names: tuple[str, ...]) -> None:
    done = _validated(names, {})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("names", _CONFIGURATIONS, ids=" + ".join)
def test_it_is_valid_with_every_setting(names: tuple[str, ...]) -> None:
    done = _validated(names, {variable: _value(variable) for variable in _variables(names)})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", sorted({name for names in _CONFIGURATIONS for name in names}))
def test_its_head_lists_its_settings(name: str) -> None:
    head = (_FOLDER / name).read_text().split("\n\n")[0]
    own = _variables((name,)) - (
        set() if name in ("agent.yaml", "gateway.yaml") else _variables(("agent.yaml", "gateway.yaml"))
    )
    assert {variable for variable in own if variable not in head} == set()
