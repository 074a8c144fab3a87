"""The generated code is up to date with trust.proto."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]


_EXAMPLE = _ROOT / "examples" / "trust_service"


_RPC = Path("trust_service", "rpc")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stubs")
    options = [f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python")]
    proto = str(_EXAMPLE / _RPC / "trust.proto")
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", str(_EXAMPLE), *options, proto], check=True)
    return out / _RPC


@pytest.mark.parametrize("name", ["trust_pb2.py", "trust_pb2.pyi", "trust_pb2_grpc.py"])
def test_the_stubs_of_the_service_are_up_to_date(generated: Path, name: str) -> None:
    assert (_EXAMPLE / _RPC / name).read_text() == (generated / name).read_text()
