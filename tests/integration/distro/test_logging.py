"""The log output of the service is the same with and without the distro, whether or not log records are exported.

The cases of `instrumentation` need opentelemetry-instrumentation-logging.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Launched = Callable[..., "subprocess.CompletedProcess[str]"]

_FIRST_CALLS = {
    "none": "",
    "basicConfig": "logging.basicConfig(format='MINE %(levelname)s %(message)s', level=logging.INFO)",
    "dictConfig": """
import logging.config
logging.config.dictConfig({
    "version": 1,
    "formatters": {"mine": {"format": "MINE %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "mine"}},
    "root": {"handlers": ["console"], "level": "INFO"},
})""",
    "a handler if there is none": """
if not logging.getLogger("service").hasHandlers():
    logging.getLogger("service").addHandler(logging.StreamHandler())""",
}
_PROGRAM = """
import inspect, logging, sys
logging.getLogger("service.early").warning("early")
{first}
print(inspect.signature(logging.basicConfig), logging.getLogger().handlers, file=sys.stderr)
logging.getLogger("service.part").info("told")
logging.getLogger("service.part").warning("warned")
logging.getLogger("trust_otel.part").warning("warned by trust-otel")
quiet = logging.getLogger("quiet")
quiet.propagate = False
quiet.warning("not propagated")
logging.warning("by the root logger")
try:
    1 / 0
except ZeroDivisionError:
    logging.exception("failed")
"""
_HANDLERS = {
    "instrumentation": {},
    "sdk": {"OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true"},
}


def _plain(program: str, tmp_path: Path) -> str:
    script = tmp_path / "program.py"
    script.write_text(program)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    return done.stderr


@pytest.mark.parametrize(
    ("handler", "first"), [*(("instrumentation", first) for first in _FIRST_CALLS), ("sdk", "none")]
)
@pytest.mark.parametrize("exporter", ["none", "console"])
def test_log_output_is_unchanged(launched: Launched, tmp_path: Path, handler: str, exporter: str, first: str) -> None:
    if handler == "instrumentation":
        pytest.importorskip("opentelemetry.instrumentation.logging")
    program = _PROGRAM.format(first=_FIRST_CALLS[first])
    done = launched(
        program,
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER=exporter,
        # The upstream instrumentor warns if the SDK has its own handler.
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="logging" if handler == "sdk" else "",
        **_HANDLERS[handler],
    )
    assert done.returncode == 0
    assert done.stderr == _plain(program, tmp_path)
    exported = [
        text for text in ("early", "warned", "by the root logger", "failed") if f'"body": "{text}"' in done.stdout
    ]
    assert exported == ([] if exporter == "none" else ["early", "warned", "by the root logger", "failed"])
    assert '"body": "not propagated"' not in done.stdout


def test_trace_context_is_added_to_the_output_when_log_records_are_not_exported(launched: Launched) -> None:
    pytest.importorskip("opentelemetry.instrumentation.logging")
    done = launched(
        "import logging; logging.warning('warned')",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        OTEL_PYTHON_LOG_CORRELATION="true",
    )
    assert done.returncode == 0
    assert "trace_id=0" in done.stderr
    assert "warned" in done.stderr
