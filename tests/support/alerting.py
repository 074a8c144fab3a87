"""Real Alertmanagers with the project's configuration, in which time runs faster, and who sends to them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import yaml

from testbed.drill.receivers import Receivers
from trust_ops.alertmanager_config import render, scaled, write
from trust_ops.alertmanager_config.files import CONFIGURATION, SECRETS
from trust_ops.alertmanager_config.scaling import milliseconds
from trust_ops.stack.binaries import find
from trust_ops.stack.files import project_file
from trust_ops.stack.ports import LOOPBACK, free_ports
from trust_ops.stack.recipes import binaries

Labels = Mapping[str, str]
P = TypeVar("P", bound="Process")

_START_SECONDS = 20.0
# Prometheus sends an alert again this often (--rules.alert.resend-delay); four times that later it ends by itself.
_RESEND = 60.0
# The least of that at any pace: a busy machine must not end an alert.
_LEAST_RESEND, _LEAST_VALID = 1.0, 4.0
# How long Prometheus goes on saying that an alert is over.
_TELLS_OF_THE_END = 15 * 60.0
# How often the members of a cluster exchange all that they know, and how long the second waits for the first, in
# seconds.
PUSH_PULL = 1
PEER_TIMEOUT = 8


def configured(receivers: Receivers, factor: float, folder: Path, *, at_night: bool = False) -> Path:
    """The project's configuration for these receivers, every wait and interval divided by `factor`; its file.

    `at_night` says whether the hours outside business hours are now; the clock has no say.
    """
    rendered = render(receivers.environment(), str(folder / SECRETS))
    made = scaled(rendered.configuration, factor)
    hours = {"weekdays": ["sunday:saturday"]} if at_night else {"years": ["2000"]}
    made["time_intervals"] = [{**named, "time_intervals": [hours]} for named in made["time_intervals"]]
    write(replace(rendered, configuration=made), folder)
    return folder / CONFIGURATION


class Process:
    """A component that can be killed and started again at its old address."""

    def __init__(self, binary: str, arguments: Sequence[str], url: str, folder: Path) -> None:
        self.url = url
        self.log = folder / "log"
        self._name = binary
        self._command = [str(find(binaries()[binary], os.environ, print)), *arguments]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._folder, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready():
            assert self._process.poll() is None, f"{self._name} ended: {self.log.read_text()}"
            assert time.monotonic() < deadline, f"{self._name} is not ready: {self.log.read_text()}"
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False


class Alertmanager(Process):
    """An Alertmanager; `members` are the cluster addresses of itself and of its peers, none for one alone."""

    def __init__(self, configuration: Path, factor: float, folder: Path, members: Sequence[str] = ()) -> None:
        (port,) = free_ports(1)
        flags = [
            f"--config.file={configuration}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--log.level=debug",
            # As the deployments have them, at the pace of the configuration.
            f"--data.maintenance-interval={60_000 / factor:.0f}ms",
            f"--dispatch.start-delay={60_000 / factor:.0f}ms",
            f"--dispatch.maintenance-interval={30_000 / factor:.0f}ms",
            *_cluster(members),
        ]
        super().__init__("alertmanager", flags, f"http://{LOOPBACK}:{port}", folder)

    def silence(self, **labels: str) -> str:
        """Acknowledge what has these labels, for an hour; the silence's identifier."""
        now = datetime.now(timezone.utc)
        answer = httpx.post(
            f"{self.url}/api/v2/silences",
            json={
                "matchers": [
                    {"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in labels.items()
                ],
                "startsAt": now.isoformat(),
                "endsAt": (now + timedelta(hours=1)).isoformat(),
                "createdBy": "on-call",
                "comment": "I am on it",
            },
            trust_env=False,
        )
        answer.raise_for_status()
        return str(answer.json()["silenceID"])

    def active_silences(self) -> set[str]:
        """The identifiers of the silences that hold now."""
        found = httpx.get(f"{self.url}/api/v2/silences", trust_env=False).raise_for_status().json()
        return {silence["id"] for silence in found if silence["status"]["state"] == "active"}

    def reload(self) -> None:
        """Let it read its configuration again."""
        httpx.post(f"{self.url}/-/reload", trust_env=False).raise_for_status()

    def cluster_size(self) -> int:
        """How many members it sees, itself included, once it is ready to notify; 0 before."""
        cluster = httpx.get(f"{self.url}/api/v2/status", trust_env=False).raise_for_status().json()["cluster"]
        return len(cluster["peers"]) if cluster["status"] == "ready" else 0


def _cluster(members: Sequence[str]) -> list[str]:
    if not members:
        return ["--cluster.listen-address="]
    own, *others = members
    return [
        f"--cluster.listen-address={own}",
        f"--cluster.advertise-address={own}",
        *(f"--cluster.peer={other}" for other in others),
        # A network is as slow as ever, so these are not shortened as much as the rest. The second waits for the first,
        # and must hear meanwhile of all that it has told: gossip alone does not get through a burst in time.
        f"--cluster.peer-timeout={PEER_TIMEOUT}s",
        f"--cluster.pushpull-interval={PUSH_PULL}s",
    ]


class Faults:
    """Metrics to scrape: which alerts have a reason to fire. A context manager."""

    def __init__(self) -> None:
        self._present: set[tuple[str, str]] = set()
        outer = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                # Who scrapes may be killed meanwhile.
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(outer.page().encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Page)
        self.address = f"{LOOPBACK}:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, name="faults", daemon=True)

    def __enter__(self) -> Faults:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def begin(self, *alerts: Labels) -> float:
        """Give alerts a reason; the time, in seconds of the monotonic clock."""
        self._present |= {(alert["alertname"], alert["service"]) for alert in alerts}
        return time.monotonic()

    def end(self, *alerts: Labels) -> None:
        """Take it away."""
        self._present -= {(alert["alertname"], alert["service"]) for alert in alerts}

    def page(self) -> str:
        """What is scraped."""
        return "".join(f'fault{{name="{name}", service="{service}"}} 1\n' for name, service in sorted(self._present))


class Prometheus(Process):
    """A Prometheus that scrapes faults, lets alerts fire on them at once, and escalates them by the project's rules.

    The escalation's waits are divided by `factor`, and so are the intervals at which Prometheus evaluates and sends.
    """

    def __init__(
        self, faults: Faults, alerts: Sequence[Labels], to: Sequence[Alertmanager], factor: float, folder: Path
    ) -> None:
        (port,) = free_ports(1)
        folder.mkdir(parents=True)
        escalation = [_accelerated(group, factor) for group in _rule_groups() if group["name"].endswith(".escalation")]
        assert escalation, "the project has no rules for escalation"
        own = {"name": "faults", "rules": [_fires_on_its_fault(alert) for alert in alerts]}
        (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [own, *escalation]}))
        (folder / "prometheus.yml").write_text(yaml.safe_dump(_prometheus_configuration(faults, to, factor)))
        super().__init__(
            "prometheus",
            [
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={LOOPBACK}:{port}",
                # As the deployments have them, at the pace of the rules.
                f"--rules.alert.resend-delay={max(_LEAST_RESEND, _RESEND / factor) * 1000:.0f}ms",
                f"--rules.alert.for-grace-period={60_000 / factor:.0f}ms",
                # By default it begins to scrape 5 s after its start.
                "--scrape.discovery-reload-interval=100ms",
            ],
            f"http://{LOOPBACK}:{port}",
            folder,
        )


def _prometheus_configuration(faults: Faults, to: Sequence[Alertmanager], factor: float) -> dict[str, Any]:
    project = yaml.safe_load(project_file("monitoring/prometheus/prometheus.yml").read_text())
    evaluated = f"{milliseconds(project['global']['evaluation_interval']) / factor:.0f}ms"
    return {
        # A scrape takes its time on a busy machine, however fast the clock of the rules runs.
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": evaluated},
        "rule_files": ["rules.yml"],
        "alerting": {
            "alert_relabel_configs": project["alerting"]["alert_relabel_configs"],
            "alertmanagers": [{"static_configs": [{"targets": [urlsplit(each.url).netloc for each in to]}]}],
        },
        "scrape_configs": [{"job_name": "faults", "static_configs": [{"targets": [faults.address]}]}],
    }


def _rule_groups() -> list[dict[str, Any]]:
    path = project_file("monitoring/prometheus/trust-service-alerts.yml")
    groups: list[dict[str, Any]] = yaml.safe_load(path.read_text())["groups"]
    return groups


def _accelerated(group: dict[str, Any], factor: float) -> dict[str, Any]:
    rules = [{**rule, "for": f"{milliseconds(rule['for']) / factor:.0f}ms"} for rule in group["rules"]]
    return {"name": group["name"], "rules": rules}


def _fires_on_its_fault(alert: Labels) -> dict[str, Any]:
    return {
        "alert": alert["alertname"],
        "expr": f'max by (service) (fault{{name="{alert["alertname"]}", service="{alert["service"]}"}}) == 1',
        # As the project's rules have it: one scrape that fails ends no alert.
        "keep_firing_for": "1s",
        "labels": {name: value for name, value in alert.items() if name != "alertname"},
        "annotations": _annotations(alert),
    }


class Site:
    """Receivers, and what notifies them; a context manager that stops all of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self._processes: list[Process] = []
        self.receivers = Receivers()

    def __enter__(self) -> Site:
        self._running.enter_context(self.receivers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def alertmanager(self, factor: float, members: Sequence[str] = (), *, at_night: bool = False) -> Alertmanager:
        """An Alertmanager that runs."""
        folder = self._folder / f"alertmanager-{len(self._processes)}"
        configuration = configured(self.receivers, factor, folder / "etc", at_night=at_night)
        return self.started(Alertmanager(configuration, factor, folder, members))

    def started(self, process: P) -> P:
        """Start a process, which ends with the site."""
        self._processes.append(process)
        self._running.callback(process.stop)
        process.start()
        return process

    def prometheus(self, faults: Faults, alerts: Sequence[Labels], factor: float, *to: Alertmanager) -> Prometheus:
        """A Prometheus that runs, and sends to these Alertmanagers."""
        folder = self._folder / f"prometheus-{len(self._processes)}"
        return self.started(Prometheus(faults, alerts, to, factor, folder))

    def faults(self) -> Faults:
        """Faults that can be scraped."""
        return self._running.enter_context(Faults())

    def sender(self, factor: float, *to: Alertmanager) -> Sender:
        """One that sends to these Alertmanagers."""
        return self._running.enter_context(Sender([each.url for each in to], factor))

    def show_logs(self) -> None:
        """Print the end of every log."""
        for process in self._processes:
            print(f"log of {process.url}:\n{process.log.read_text()[-30_000:]}")


@dataclass
class _Active:
    labels: Labels
    annotations: Labels
    starts: datetime
    ended: datetime | None = None
    # In seconds of the monotonic clock.
    forget_at: float | None = None


class Sender:
    """Sends alerts to every Alertmanager, again and again, as Prometheus does; a context manager.

    Prometheus sends an alert when it begins, every minute as long as it goes on, with an end some minutes ahead,
    and for a quarter of an hour after its end. All that is divided by `factor`.
    """

    def __init__(self, urls: Iterable[str], factor: float) -> None:
        self._urls = list(urls)
        self._resend = _RESEND / factor
        self._told_of_the_end = _TELLS_OF_THE_END / factor
        self._lock = Lock()
        self._alerts: dict[frozenset[tuple[str, str]], _Active] = {}
        self._ended = Event()
        self._thread = Thread(target=self._run, name="sender", daemon=True)
        # A connection is refused at once where an Alertmanager is down.
        self._client = httpx.Client(trust_env=False, timeout=5)

    def __enter__(self) -> Sender:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._client.close()

    def stop(self) -> None:
        """Send nothing more."""
        self._ended.set()
        self._thread.join()

    def fire(self, *alerts: Labels) -> float:
        """Let alerts begin; the time, in seconds of the monotonic clock."""
        now = datetime.now(timezone.utc)
        begun = [_Active(labels, _annotations(labels), now) for labels in alerts]
        with self._lock:
            self._alerts.update({_key(alert.labels): alert for alert in begun})
        at = time.monotonic()
        self._send(begun)
        return at

    def resolve(self, *alerts: Labels) -> float:
        """Let alerts end that have not; the time, in seconds of the monotonic clock."""
        at = time.monotonic()
        with self._lock:
            over = [alert for labels in alerts if (alert := self._alerts[_key(labels)]).ended is None]
            for alert in over:
                alert.ended = datetime.now(timezone.utc)
                alert.forget_at = at + self._told_of_the_end
        self._send(over)
        return at

    def _run(self) -> None:
        while not self._ended.wait(self._resend):
            with self._lock:
                now = time.monotonic()
                self._alerts = {
                    key: alert
                    for key, alert in self._alerts.items()
                    if alert.forget_at is None or now < alert.forget_at
                }
                known = list(self._alerts.values())
            self._send(known)

    def _send(self, alerts: Sequence[_Active]) -> None:
        ahead = datetime.now(timezone.utc) + timedelta(seconds=max(_LEAST_VALID, 4 * self._resend))
        body = [
            {
                "labels": alert.labels,
                "annotations": alert.annotations,
                "startsAt": alert.starts.isoformat(),
                "endsAt": (alert.ended or ahead).isoformat(),
                "generatorURL": "http://prometheus.trust.test/graph?g0.expr=up",
            }
            for alert in alerts
        ]
        for url in self._urls:
            try:
                self._client.post(f"{url}/api/v2/alerts", json=body).raise_for_status()
            except httpx.TransportError:
                # It is down, and hears of them when it is back.
                continue


def _key(labels: Labels) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def _annotations(labels: Labels) -> dict[str, str]:
    name, service = labels["alertname"], labels["service"]
    return {
        "summary": f"{name} of {service}.",
        "description": f"Something is wrong with {service}: 7 of 9 calls failed, <b>more</b> than 5 % & rising.",
        "runbook_url": f"https://runbooks.trust.test/{name}",
        "dashboard_url": "https://grafana.trust.test/d/trust-service-operational?viewPanel=1",
    }
