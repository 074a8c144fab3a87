"""A temporary PostgreSQL for tests, and the mark of tests that need it."""

from __future__ import annotations

import os
import shutil

import pytest

from testbed.drill.postgresql import Cluster, cluster, replicated

__all__ = ["Cluster", "cluster", "needs_postgresql", "replicated"]

_MISSING = [name for name in ("initdb", "pg_ctl") if shutil.which(name) is None]

# Tests are skipped without PostgreSQL, except in CI, where they fail.
needs_postgresql = pytest.mark.skipif(
    bool(_MISSING) and "CI" not in os.environ, reason=f"not on this machine: {', '.join(_MISSING)}"
)
