"""What `trust-otel doctor` says of a real Prometheus, healthy and with a fault each."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml

from tests.support.running import eventually
from trust_ops.doctor import Finding, prometheus
from trust_ops.stack import files
from trust_ops.stack.binaries import find
from trust_ops.stack.ports import LOOPBACK, free_ports
from trust_ops.stack.recipes import binaries

FLAGS = ("--web.enable-otlp-receiver", "--enable-feature=created-timestamp-zero-ingestion,exemplar-storage")
RULES = [str(file) for file in files.prometheus_files()[1:]]


@contextmanager
def running(folder: Path, configuration: dict[str, Any], flags: tuple[str, ...]) -> Iterator[str]:
    (port,) = free_ports(1)
    url = f"http://{LOOPBACK}:{port}"
    itself = {
        "job_name": "prometheus",
        "scrape_interval": "1s",
        "static_configs": [{"targets": [f"{LOOPBACK}:{port}"]}],
    }
    settings = {"scrape_configs": [itself], **configuration}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    command = [
        str(find(binaries()["prometheus"], os.environ, print)),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        *flags,
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            # Targets are found after some seconds, and have no health before their first scrape.
            while (found := states(url)) is None or len(found) < len(settings["scrape_configs"]) or "unknown" in found:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()


def states(url: str) -> list[str] | None:
    try:
        answer = httpx.get(f"{url}/api/v1/targets", trust_env=False)
    except httpx.TransportError:
        return None
    return [target["health"] for target in answer.json()["data"]["activeTargets"]] if answer.is_success else None


HEALTHY: dict[str, Any] = {"storage": {"tsdb": {"out_of_order_time_window": "4h"}}, "rule_files": RULES}


def troubles(url: str) -> list[Finding]:
    return [finding for finding in prometheus.check(url) if finding.status != "ok"]


def test_a_healthy_prometheus_has_no_finding(tmp_path: Path) -> None:
    with running(tmp_path, HEALTHY, FLAGS) as url:
        assert troubles(url) == []


class Faults(NamedTuple):
    """Faults of one Prometheus, and the findings that name them: step, name, status and part of the remedy."""

    configuration: dict[str, Any]
    flags: tuple[str, ...]
    findings: list[tuple[str, str, str, str]]


NOWHERE = {"job_name": "gone", "scrape_interval": "1s", "static_configs": [{"targets": [f"{LOOPBACK}:1"]}]}
FAULTS = {
    "started without options": Faults(
        {"rule_files": RULES},
        (),
        [
            ("prometheus", "OTLP receiver", "error", "--web.enable-otlp-receiver"),
            ("prometheus", "created-timestamp-zero-ingestion", "warning", "--enable-feature=created-timestamp"),
            ("prometheus", "exemplar-storage", "warning", "exemplar-storage"),
            ("prometheus", "late samples", "warning", "out_of_order_time_window: 4h"),
        ],
    ),
    "a target is down, and alerts are not loaded": Faults(
        {**HEALTHY, "scrape_configs": [NOWHERE], "rule_files": RULES[:1]},
        FLAGS,
        [
            ("targets", f"gone {LOOPBACK}:1", "error", "correct its address"),
            ("rules", "loaded", "error", "rule_files"),
        ],
    ),
    "no targets": Faults({**HEALTHY, "scrape_configs": []}, FLAGS, [("targets", "all", "warning", "scrape_configs")]),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_faults_are_named_with_their_remedies(faults: Faults, tmp_path: Path) -> None:
    with running(tmp_path, faults.configuration, faults.flags) as url:
        found = troubles(url)
    assert [(each.step, each.name, each.status) for each in found] == [each[:3] for each in faults.findings]
    for finding, (*_, remedy) in zip(found, faults.findings, strict=True):
        assert remedy in (finding.remedy or "")


def test_older_rules_are_named(tmp_path: Path) -> None:
    changed = tmp_path / "alerts.yml"
    ours = Path(RULES[2]).read_text()
    # Only the first is another expression.
    changed.write_text(ours.replace("up == 0", "up < 1", 1).replace("up == 0", "up  ==  0", 1))
    with running(tmp_path, {**HEALTHY, "rule_files": [*RULES[:2], str(changed)]}, FLAGS) as url:
        (found,) = troubles(url)
    assert (found.step, found.name, found.status) == ("rules", "expressions", "warning")
    assert found.seen == "1 have other expressions: TrustServiceInstanceDown"


def test_a_rule_that_fails_is_named(tmp_path: Path) -> None:
    # Both sides become the same series.
    twice = {"record": "twice", "expr": "label_replace(vector(1), 'a', 'b', '', '') or vector(1)", "labels": {"a": "b"}}
    rules = tmp_path / "more.yml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "more", "interval": "1s", "rules": [twice]}]}))
    with running(tmp_path, {**HEALTHY, "rule_files": [*RULES, str(rules)]}, FLAGS) as url:
        eventually(lambda: [(each.step, each.name) for each in troubles(url)], [("rules", "twice")])


def test_a_prometheus_that_does_not_run_is_one_error() -> None:
    (port,) = free_ports(1)
    (found,) = prometheus.check(f"http://user:password@{LOOPBACK}:{port}")
    assert (found.name, found.status) == ("server", "error")
    assert "password" not in found.seen
