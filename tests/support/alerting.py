"""Real Alertmanagers with the project's configuration and shortened durations, and senders of alerts."""

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
from trust_ops.durations import parse_duration
from trust_ops.site_config import DEFAULTS, render, scaled, write
from trust_ops.site_config import Site as SiteSettings
from trust_ops.site_config.files import CONFIGURATION, SECRETS
from trust_ops.stack.binaries import find
from trust_ops.stack.files import project_file
from trust_ops.stack.ports import LOOPBACK, free_ports
from trust_ops.stack.recipes import binaries

Labels = Mapping[str, str]
P = TypeVar("P", bound="Process")

_NONE: Labels = {}
_START_SECONDS = 20.0
# Prometheus resends an alert at this interval (--rules.alert.resend-delay). Without a resend, it ends after four times
# this interval.
_RESEND = 60.0
# Minimum of both for any factor, so that an alert does not end on a busy machine.
_LEAST_RESEND, _LEAST_VALID = 1.0, 4.0
# Time for which Prometheus resends a resolved alert.
_RESOLVED_RESEND = 15 * 60.0
# Interval at which cluster members exchange their full state, and the time that the second waits for the first, in
# seconds.
PUSH_PULL = 1
PEER_TIMEOUT = 8


def configured(
    receivers: Receivers,
    factor: float,
    folder: Path,
    site: SiteSettings = DEFAULTS,
    variables: Labels = _NONE,
    *,
    at_night: bool = False,
) -> Path:
    """Write the project's configuration for these receivers, with all durations divided by `factor`; returns the file.

    `variables` replace some of the receivers' variables. `at_night` sets whether the current time is outside business
    hours, independent of the clock.
    """
    rendered = render({**receivers.environment(), **variables}, str(folder / SECRETS), site)
    made = scaled(rendered.configuration, factor)
    hours = {"weekdays": ["sunday:saturday"]} if at_night else {"years": ["2000"]}
    intervals = made.get("time_intervals", ())
    made["time_intervals"] = [{**named, "time_intervals": [hours]} for named in intervals]
    write(replace(rendered, configuration=made), folder)
    return folder / CONFIGURATION


class Process:
    """A component that can be killed and restarted at the same address."""

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
        """Stop it, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False).is_success
        except httpx.TransportError:
            return False


class Alertmanager(Process):
    """An Alertmanager; `members` are the cluster addresses of itself and its peers, empty without a cluster."""

    def __init__(self, configuration: Path, factor: float, folder: Path, members: Sequence[str] = ()) -> None:
        (port,) = free_ports(1)
        flags = [
            f"--config.file={configuration}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{port}",
            "--log.level=debug",
            # As in the deployments, divided by the factor.
            f"--data.maintenance-interval={60_000 / factor:.0f}ms",
            f"--dispatch.start-delay={60_000 / factor:.0f}ms",
            f"--dispatch.maintenance-interval={30_000 / factor:.0f}ms",
            *_cluster(members),
        ]
        super().__init__("alertmanager", flags, f"http://{LOOPBACK}:{port}", folder)

    def silence(self, **labels: str) -> str:
        """Silence alerts with these labels for an hour; returns the silence's id."""
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
        """Ids of active silences."""
        found = httpx.get(f"{self.url}/api/v2/silences", trust_env=False).raise_for_status().json()
        return {silence["id"] for silence in found if silence["status"]["state"] == "active"}

    def reload(self) -> None:
        """Reload the configuration."""
        httpx.post(f"{self.url}/-/reload", trust_env=False).raise_for_status()

    def cluster_size(self) -> int:
        """Number of cluster members including itself, once it is ready to notify; 0 before."""
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
        # Not shortened as much as other durations, because the network is not faster. The second waits for the first,
        # and must receive its notification log meanwhile: gossip alone is too slow in a burst.
        f"--cluster.peer-timeout={PEER_TIMEOUT}s",
        f"--cluster.pushpull-interval={PUSH_PULL}s",
    ]


class FaultMetrics:
    """Serves the metrics of faults, for which alerts fire. A context manager."""

    def __init__(self) -> None:
        self._present: set[tuple[str, str]] = set()
        outer = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                # Prometheus may be killed meanwhile.
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.wfile.write(outer.page().encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Page)
        self.address = f"{LOOPBACK}:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), name="faults", daemon=True)

    def __enter__(self) -> FaultMetrics:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def begin(self, *alerts: Labels) -> float:
        """Start the faults of alerts; returns the time, in seconds of the monotonic clock."""
        self._present |= {(alert["alertname"], alert["service"]) for alert in alerts}
        return time.monotonic()

    def end(self, *alerts: Labels) -> None:
        """End the faults of alerts."""
        self._present -= {(alert["alertname"], alert["service"]) for alert in alerts}

    def page(self) -> str:
        """The metrics page."""
        return "".join(f'fault{{name="{name}", service="{service}"}} 1\n' for name, service in sorted(self._present))


class Prometheus(Process):
    """A Prometheus that scrapes faults, with an alert for each fault and the project's escalation rules.

    The durations of the escalation and the evaluation and resend intervals are divided by `factor`.
    """

    def __init__(
        self, faults: FaultMetrics, alerts: Sequence[Labels], to: Sequence[Alertmanager], factor: float, folder: Path
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
                # As in the deployments, divided by the factor.
                f"--rules.alert.resend-delay={max(_LEAST_RESEND, _RESEND / factor) * 1000:.0f}ms",
                f"--rules.alert.for-grace-period={60_000 / factor:.0f}ms",
                # By default, scraping starts 5 s after the start.
                "--scrape.discovery-reload-interval=100ms",
            ],
            f"http://{LOOPBACK}:{port}",
            folder,
        )


def _prometheus_configuration(faults: FaultMetrics, to: Sequence[Alertmanager], factor: float) -> dict[str, Any]:
    project = yaml.safe_load(project_file("monitoring/prometheus/prometheus.yml").read_text())
    evaluated = _shortened(project["global"]["evaluation_interval"], factor)
    return {
        # On a busy machine a scrape takes longer, independent of the factor.
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
    rules = [{**rule, "for": _shortened(rule["for"], factor)} for rule in group["rules"]]
    return {"name": group["name"], "rules": rules}


def _shortened(duration: str, factor: float) -> str:
    return f"{parse_duration(duration).total_seconds() * 1000 / factor:.0f}ms"


def _fires_on_its_fault(alert: Labels) -> dict[str, Any]:
    return {
        "alert": alert["alertname"],
        "expr": f'max by (service) (fault{{name="{alert["alertname"]}", service="{alert["service"]}"}}) == 1',
        # As in the project's rules: a failed scrape does not resolve the alert.
        "keep_firing_for": "1s",
        "labels": {name: value for name, value in alert.items() if name != "alertname"},
        "annotations": _annotations(alert),
    }


class Site:
    """Receivers and the processes that notify them; a context manager that stops all of them."""

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

    def alertmanager(
        self,
        factor: float,
        members: Sequence[str] = (),
        *,
        site: SiteSettings = DEFAULTS,
        variables: Labels = _NONE,
        at_night: bool = False,
    ) -> Alertmanager:
        """Start an Alertmanager with the configuration for a site."""
        folder = self._folder / f"alertmanager-{len(self._processes)}"
        configuration = configured(self.receivers, factor, folder / "etc", site, variables, at_night=at_night)
        return self.started(Alertmanager(configuration, factor, folder, members))

    def started(self, process: P) -> P:
        """Start a process, which is stopped with the site."""
        self._processes.append(process)
        self._running.callback(process.stop)
        process.start()
        return process

    def prometheus(
        self, faults: FaultMetrics, alerts: Sequence[Labels], factor: float, *to: Alertmanager
    ) -> Prometheus:
        """Start a Prometheus that sends to these Alertmanagers."""
        folder = self._folder / f"prometheus-{len(self._processes)}"
        return self.started(Prometheus(faults, alerts, to, factor, folder))

    def faults(self) -> FaultMetrics:
        """Start serving fault metrics."""
        return self._running.enter_context(FaultMetrics())

    def sender(self, factor: float, *to: Alertmanager) -> Sender:
        """Start a sender to these Alertmanagers."""
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
    """Sends alerts repeatedly to every Alertmanager, as Prometheus does; a context manager.

    Prometheus sends an alert when it starts to fire, every minute while it fires (with an end some minutes ahead), and
    for 15 minutes after it resolved. These durations are divided by `factor`.
    """

    def __init__(self, urls: Iterable[str], factor: float) -> None:
        self._urls = list(urls)
        self._resend = _RESEND / factor
        self._told_of_the_end = _RESOLVED_RESEND / factor
        self._lock = Lock()
        self._alerts: dict[frozenset[tuple[str, str]], _Active] = {}
        self._ended = Event()
        self._thread = Thread(target=self._run, name="sender", daemon=True)
        # If an Alertmanager is down, the connection is refused immediately.
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
        """Stop sending."""
        self._ended.set()
        self._thread.join()

    def fire(self, *alerts: Labels) -> float:
        """Start firing alerts; returns the time, in seconds of the monotonic clock."""
        now = datetime.now(timezone.utc)
        begun = [_Active(labels, _annotations(labels), now) for labels in alerts]
        with self._lock:
            self._alerts.update({_key(alert.labels): alert for alert in begun})
        at = time.monotonic()
        self._send(begun)
        return at

    def resolve(self, *alerts: Labels) -> float:
        """Resolve firing alerts; returns the time, in seconds of the monotonic clock."""
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
                # It is down, and receives them after its restart.
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
