"""Instrumentors load only under trust-otel, and only with their settings."""

import subprocess
import sys

from trust_ops.doctor.loading import NEEDED_SETTINGS

_LOAD = """
from importlib.metadata import entry_points
for entry_point in entry_points(group="opentelemetry_instrumentor"):
    if entry_point.value.startswith("trust_otel"):
        print(entry_point.name, type(entry_point.load()()).__name__)
"""


def _loaded(before: str) -> dict[str, str]:
    """The class that each of our entry points loads, in a new process."""
    done = subprocess.run([sys.executable, "-c", before + _LOAD], capture_output=True, text=True, check=True)
    return dict(line.split() for line in done.stdout.splitlines())


_ALWAYS = {"trust_cryptography", "trust_executors", "trust_grpc", "trust_http", "trust_pkcs11", "trust_sqlalchemy"}


_IF_SET = {
    "trust_business_metrics",
    "trust_certificates",
    "trust_clock",
    "trust_ct_feed",
    "trust_dependencies",
    "trust_key_policy",
    "trust_lists",
    "trust_security",
    "trust_sla",
}


def test_instrumentors_do_not_load_under_another_distro() -> None:
    assert _loaded("") == dict.fromkeys(_ALWAYS | _IF_SET, "_Disabled")


def test_instrumentors_without_their_settings_do_not_load() -> None:
    loaded = _loaded("from trust_otel import distro; distro._chosen = True")
    assert {name for name, kind in loaded.items() if kind == "_Disabled"} == _IF_SET


def test_doctor_knows_the_settings_that_they_need() -> None:
    assert NEEDED_SETTINGS.keys() == _IF_SET


def test_instrumentors_load_after_their_modules_were_imported() -> None:
    before = "import trust_otel.instrumentation.http, trust_otel.instrumentation.grpc"
    assert set(_loaded(before)) == _ALWAYS | _IF_SET
