"""Grafana matches the file after `access`, wherever an earlier run was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fake_grafana import ACCESS_FILE, AS_THE_FILE_SAYS, TOKEN, WRITES, FakeGrafana, listening


@pytest.mark.parametrize("stall_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", [1, 5, 7, WRITES])
def test_killed_at_a_write_the_next_run_completes_it(tmp_path: Path, write: int, stall_after: bool) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    grafana = FakeGrafana(stall_at=write, stall_after=stall_after)
    with listening(grafana) as url:
        environment = {**os.environ, "GRAFANA_URL": url, "GRAFANA_TOKEN_FILE": str(token_file)}
        command = [sys.executable, "-m", "trust_ops.cli", "grafana", "access", "--file", str(ACCESS_FILE)]
        killed = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            assert grafana.reached.wait(30)
        finally:
            killed.kill()
            output, _ = killed.communicate()
        assert grafana.content() != AS_THE_FILE_SAYS or (write == WRITES and stall_after), output
        again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
        assert again.returncode == 0, again.stderr
        assert grafana.content() == AS_THE_FILE_SAYS
