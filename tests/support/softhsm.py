"""A token of SoftHSM for tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.softhsm import MODULE_VARIABLE, softhsm
from trust_ops.stack.errors import StackError

TOKEN = "test-token"


def new_token(folder: Path) -> dict[str, str]:
    """Variables of a process that uses a new token; skips the test where SoftHSM cannot be had."""
    try:
        return softhsm(folder, TOKEN)
    except StackError as error:
        pytest.skip(f"SoftHSM is not available: {error}")


@pytest.fixture(scope="session")
def softhsm_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The module of SoftHSM, which this process can load, with a token.

    One for all tests of a process, because the module reads its configuration only once.
    """
    environment = new_token(tmp_path_factory.mktemp("softhsm"))
    os.environ["SOFTHSM2_CONF"] = environment["SOFTHSM2_CONF"]
    yield environment[MODULE_VARIABLE]
    del os.environ["SOFTHSM2_CONF"]
