"""Runs programs that mount file systems of their own."""

from __future__ import annotations

import pytest

from testbed.own_mounts import UNSHARE, permitted


def own_mounts() -> tuple[str, ...]:
    """The beginning of a command line: what follows runs with mounts that nobody else sees.

    Skips the test where the system does not permit that.
    """
    if not permitted():
        pytest.skip("user namespaces with mounts are not permitted here")
    return UNSHARE
