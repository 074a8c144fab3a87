"""The Dockerfiles of our images: pinned bases, no root, the versions that the rest of the project has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trust_ops.stack.recipes import binaries

ROOT = Path(__file__).parents[2]
IMAGES = {
    "collector": ROOT / "collector" / "Dockerfile",
    "example-service": ROOT / "examples" / "trust_service" / "Dockerfile",
    "ops": ROOT / "trust_ops" / "Dockerfile",
    "autoinstrumentation-python": ROOT / "monitoring" / "k8s" / "autoinstrumentation" / "Dockerfile",
}


@pytest.mark.parametrize("file", IMAGES.values(), ids=IMAGES)
def test_bases_are_pinned(file: Path) -> None:
    bases = re.findall(r"^FROM (?:--platform=\S+ )?(\S+)", file.read_text(), re.MULTILINE)
    assert len(bases) == 2
    for base in bases:
        assert base == "scratch" or re.search(r":(\d+\.\d+\.\d+|\$\{PYTHON\})", base), base


@pytest.mark.parametrize("file", IMAGES.values(), ids=IMAGES)
def test_the_result_does_not_run_as_root(file: Path) -> None:
    last = file.read_text().rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.+)$", last, re.MULTILINE) == ["10001:10001"]


@pytest.mark.parametrize(("name", "file"), IMAGES.items(), ids=IMAGES)
def test_the_documented_command_builds_the_tag_of_the_manifests(name: str, file: Path) -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"--tag ghcr.io/trust-otel/{name}:{version[1]} ." in file.read_text()
    assert "--platform linux/amd64,linux/arm64" in file.read_text()


def test_the_builder_has_the_version_of_the_collector() -> None:
    assert f"cmd/builder@v{binaries()['collector'].version}\n" in IMAGES["collector"].read_text()


def test_uv_has_the_version_of_the_makefile() -> None:
    version = re.search(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert version is not None
    assert f"uv=={version[1]}\n" in IMAGES["ops"].read_text()
