"""docs/standard-settings.md names every environment variable of the installed packages of OpenTelemetry and FastAPI."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path

import pytest

from trust_otel import settings
from trust_otel.export.periodic import HEARTBEAT_SECONDS
from trust_otel.ineffective_settings import RULES

_PAGE = Path("docs/standard-settings.md")
# In quotes where they are read, and in backquotes where they are documented.
_VARIABLE = re.compile(r"""["'`]((?:OTEL|FASTAPI_OTEL)_[A-Z0-9_]*[A-Z0-9])["'`=]""")


def _sources() -> Iterator[Path]:
    for package in ("opentelemetry", "fastapi", "sqlalchemy", "starlette", "grpc"):
        found = find_spec(package)
        assert found is not None
        for folder in found.submodule_search_locations or ():
            yield from Path(folder).rglob("*.py")


def installed_variables() -> set[str]:
    """The variables that the installed packages read or document."""
    return {*_installed()}


def _installed() -> dict[str, Path]:
    return {name: source for source in _sources() for name in _VARIABLE.findall(source.read_text("utf-8"))}


def _documented() -> set[str]:
    """The variables of the page; those of one row may have a `*`."""
    rows = [line.split("|")[1] for line in _PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([A-Z0-9_*]+)`", row)}


def test_every_variable_of_the_installed_packages_is_on_the_page() -> None:
    installed, documented = _installed(), _documented()
    assert {"OTEL_BSP_SCHEDULE_DELAY", "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "FASTAPI_OTEL_AUTO_CONFIGURE"} <= {
        *installed
    }
    missing = {
        name: str(source)
        for name, source in installed.items()
        if not any(fnmatchcase(name, pattern) for pattern in documented)
    }
    assert missing == {}


@pytest.mark.parametrize("name", sorted(name for name in settings.names() if name.startswith("OTEL_")))
def test_every_validated_variable_is_on_the_page(name: str) -> None:
    assert any(fnmatchcase(name, pattern) for pattern in _documented())


@pytest.mark.parametrize("pattern", sorted({name for rule in RULES for name in rule.names}))
def test_every_variable_that_may_have_no_effect_is_on_the_page(pattern: str) -> None:
    assert any(fnmatchcase(documented, pattern) or fnmatchcase(pattern, documented) for documented in _documented())


def test_rules_look_back_as_far_as_the_warning_about_rare_exports_says() -> None:
    rules = Path("monitoring/prometheus/trust-service-alerts.yml").read_text("utf-8")
    assert f"max_over_time(trust_otel_instance_up[{HEARTBEAT_SECONDS}s])" in rules
    assert f"{HEARTBEAT_SECONDS} s without an export" in _PAGE.read_text("utf-8")


def test_page_is_linked() -> None:
    for page in ("README.md", "docs/settings.md"):
        assert "standard-settings.md" in Path(page).read_text("utf-8")


def test_no_standard_variable_counts_as_misspelled() -> None:
    assert settings.unknown_names(dict.fromkeys(installed_variables(), "x")) == []
