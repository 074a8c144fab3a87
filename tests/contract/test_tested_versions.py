"""The versions in docs/frameworks.md are those that the tests install."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_LOCK = _ROOT / "tests/integration/frameworks/environment/uv.lock"


def test_versions_of_the_page_are_those_of_the_tests() -> None:
    page = (_ROOT / "docs/frameworks.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\|[^|]+\| ([a-z0-9]+) (\d[\d.]*) \|", page, re.MULTILINE))
    installed = set(
        re.findall(r'^name = "([^"]+)"\nversion = "([^"]+)"', _LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert len(named) > 10
    assert named <= installed


def test_packages_of_the_page_are_those_of_the_tests() -> None:
    page = (_ROOT / "docs/frameworks.md").read_text(encoding="utf-8")
    project = _LOCK.with_name("pyproject.toml").read_text(encoding="utf-8")
    pattern = re.compile(r"opentelemetry-instrumentation-[a-z0-9-]+")
    assert set(pattern.findall(page)) == set(pattern.findall(project))
