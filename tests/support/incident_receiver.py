"""The incident receiver as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.support.running import eventually
from trust_ops.stack.ports import LOOPBACK, free_ports

DELIVER = "token-of-the-alertmanager"
OPERATE = "token-of-the-people-on-call"

# The real program, with waits of seconds instead of minutes.
PROGRAM = """
from datetime import timedelta
from trust_ops.cli import main
from trust_ops.incidents import reconcile, serve
serve.SECONDS = 0.5
reconcile.ABSENT_FOR = timedelta(seconds=3)
main()
"""


class Process:
    """A program that responds at a URL once it is ready, and can be killed, stopped and restarted."""

    def __init__(
        self, command: Sequence[str], health: str, log: Path, environment: dict[str, str] | None = None
    ) -> None:
        self._command = command
        self._health = health
        self.log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=self.log.parent, env=self._environment, stdout=log, stderr=log
            )
        eventually(lambda: status(self._health) is not None, True, 120)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """Stop it if it is running."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


def status(url: str) -> int | None:
    try:
        return httpx.get(url, trust_env=False).status_code
    except httpx.TransportError:
        return None


class Receiver(Process):
    """`trust-otel incidents serve`, and the commands that use it."""

    def __init__(self, folder: Path, database: str, pagerduty_secret: str = "") -> None:
        (port,) = free_ports(1)
        self.url = f"http://{LOOPBACK}:{port}"
        self._listen = f"{LOOPBACK}:{port}"
        self.deliver_tokens, self._operate_tokens = folder / "deliver", folder / "operate"
        self.deliver_tokens.write_text(DELIVER)
        self._operate_tokens.write_text(OPERATE)
        self.pagerduty_secrets = folder / "pagerduty"
        self.pagerduty_secrets.write_text(pagerduty_secret)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("TRUST_OTEL_INCIDENTS_")}
        self._environment: dict[str, str] = {
            **plain,
            "TRUST_OTEL_INCIDENTS_DATABASE": database,
            "TRUST_OTEL_INCIDENTS_LISTEN": self._listen,
            "TRUST_OTEL_INCIDENTS_TOKEN_FILE": str(self.deliver_tokens),
            "TRUST_OTEL_INCIDENTS_OPERATOR_TOKEN_FILE": str(self._operate_tokens),
            "TRUST_OTEL_INCIDENTS_URL": self.url,
        }
        if pagerduty_secret:
            self._environment["TRUST_OTEL_INCIDENTS_PAGERDUTY_SECRET_FILE"] = str(self.pagerduty_secrets)
        command = [sys.executable, "-c", PROGRAM, "incidents", "serve"]
        super().__init__(command, f"{self.url}/healthz", folder / "receiver.log", self._environment)

    def uses(self, *alertmanagers: str) -> None:
        """Set the Alertmanagers for silences, from the next start on."""
        self._environment["TRUST_OTEL_INCIDENTS_ALERTMANAGER"] = " ".join(alertmanagers)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `trust-otel` as an operator."""
        program = str(Path(sys.executable).with_name("trust-otel"))
        return subprocess.run(
            [program, *arguments], env=self._environment, capture_output=True, text=True, check=False, timeout=60
        )

    def incidents(self, *arguments: str) -> list[dict[str, Any]]:
        """The output of `list --json`."""
        answer = httpx.get(
            f"{self.url}/incidents?limit=1000&{'&'.join(arguments)}",
            headers={"Authorization": f"Bearer {OPERATE}"},
            trust_env=False,
        )
        found: list[dict[str, Any]] = answer.raise_for_status().json()["incidents"]
        return found

    def open(self) -> list[str]:
        return sorted(one["alertname"] for one in self.incidents("open=true"))

    def timeline(self, number: int) -> list[tuple[str, str | None]]:
        shown = json.loads(self.command("incidents", "show", str(number), "--json").stdout)
        return [(event["kind"], event["person"]) for event in shown["timeline"]]
