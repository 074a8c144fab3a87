"""Every callable that the instrumentors replace is in the list that other tests go through."""

import json
import subprocess
import sys

from tests.support.replaced_callables import REPLACED, replacement_name

# Compares all callables of the libraries before and after instrumentation as by `opentelemetry-instrument`.
_CHANGES = """
import inspect, json, sys
import pkcs11._pkcs11
import anyio, asyncio, cryptography.hazmat.primitives.serialization.pkcs7, cryptography.x509.ocsp
import cryptography.x509.verification, fastapi, grpc, grpc.aio, sqlalchemy, sqlalchemy.ext.asyncio, sqlalchemy.orm
import starlette.testclient, concurrent.futures.thread, concurrent.futures.process, threading
LIBRARIES = {"anyio", "asyncio", "concurrent", "cryptography", "fastapi", "grpc", "pkcs11", "sqlalchemy", "starlette"}

def defined():
    found = {}
    for path, module in list(sys.modules.items()):
        if path.partition(".")[0] in LIBRARIES:
            for name, value in list(vars(module).items()):
                if callable(value):
                    found[f"{path}.{name}"] = value
                if inspect.isclass(value) and value.__module__.partition(".")[0] in LIBRARIES:
                    for attribute, method in list(vars(value).items()):
                        if callable(method) or isinstance(method, (property, staticmethod, classmethod)):
                            found[f"{value.__module__}.{value.__qualname__}.{attribute}"] = method
    return found

before = defined()
from opentelemetry.instrumentation.auto_instrumentation import initialize
initialize()
after = defined()
print(json.dumps([name for name, value in before.items() if after[name] is not value]))
"""


def test_all_replacements_are_listed() -> None:
    program = subprocess.run(
        [sys.executable, "-c", _CHANGES],
        env={"OTEL_METRICS_EXPORTER": "none", "OTEL_PYTHON_DISTRO": "trust_distro"},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert program.returncode == 0, program.stderr
    assert set(json.loads(program.stdout)) == {replacement_name(owner, name) for owner, name in REPLACED}, (
        program.stderr
    )
