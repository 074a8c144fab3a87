"""Prometheus: whether it takes what services send, reaches its targets, and has this installation's rules."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from trust_ops.doctor.finding import Finding, outcome
from trust_ops.explain.history import ExplainError, History
from trust_ops.stack import files

STEP: Final = "prometheus"
RULES: Final = "rules"
TARGETS: Final = "targets"
_SECONDS: Final = 5.0
_CLOCK_SECONDS: Final = 5.0
"""So much may the clocks differ."""
_NAMED: Final = 5
"""So many rules or targets are named in a finding."""
_FEATURES: Final = {
    "created-timestamp-zero-ingestion": "the first event of a series raises no alert",
    "exemplar-storage": "panels have no links to traces",
}


def check(url: str) -> Iterator[Finding]:
    """Settings, clock, targets and rules of one Prometheus; a single error if it does not answer."""
    try:
        with History(url, timeout=_SECONDS, max_series=10_000) as server:
            version = server.get("/api/v1/status/buildinfo")["version"]
            yield Finding(STEP, "server", "ok", f"version {version}")
            yield from _settings(server)
            yield _clock(server)
            yield from _targets(server)
            yield from _rules(server)
    except ExplainError as error:
        yield Finding(STEP, "server", "error", str(error), "start Prometheus, or correct --prometheus")


def _settings(server: History) -> Iterator[Finding]:
    flags = server.get("/api/v1/status/flags")
    refused = None if flags.get("web.enable-otlp-receiver") == "true" else "off: what Collectors deliver is refused"
    yield outcome(STEP, "OTLP receiver", refused, "start Prometheus with --web.enable-otlp-receiver", "on")
    enabled = flags.get("enable-feature", "").split(",")
    for feature, without in _FEATURES.items():
        if feature in enabled:
            yield Finding(STEP, feature, "ok", "on")
        else:
            remedy = f"start Prometheus with --enable-feature={','.join(_FEATURES)}"
            yield Finding(STEP, feature, "warning", f"off: {without}", remedy)
    ours, theirs = _late_samples(files.prometheus_config().read_text()), _late_samples(_configuration(server))
    if ours == theirs:
        yield Finding(STEP, "late samples", "ok", f"accepted for {theirs}")
    else:
        seen = f"accepted for {theirs}" if theirs else "refused: a queue that is delivered late loses them"
        remedy = f"set storage.tsdb.out_of_order_time_window: {ours} in Prometheus' configuration"
        yield Finding(STEP, "late samples", "warning", seen, remedy)


def _configuration(server: History) -> str:
    return str(server.get("/api/v1/status/config")["yaml"])


def _late_samples(configuration: str) -> str | None:
    loaded = yaml.safe_load(configuration) or {}
    window = loaded.get("storage", {}).get("tsdb", {}).get("out_of_order_time_window")
    return None if window is None else str(window)


def _clock(server: History) -> Finding:
    before = time.time()
    there = float(server.get("/api/v1/query", {"query": "time()"})["result"][1])
    ahead = there - (before + time.time()) / 2
    if abs(ahead) <= _CLOCK_SECONDS:
        return Finding(STEP, "clock", "ok", f"differs by {abs(ahead):.1f} s")
    seen = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    return Finding(STEP, "clock", "error", seen, "synchronize the clocks of both machines (NTP)")


def _targets(server: History) -> Iterator[Finding]:
    active = server.get("/api/v1/targets", {"state": "active"})["activeTargets"]
    if not active:
        remedy = "see scrape_configs and scrape_config_files in Prometheus' configuration, and its log"
        yield Finding(TARGETS, "all", "warning", "none is configured or found", remedy)
        return
    down = [target for target in active if target["health"] == "down"]
    for target in down[:_NAMED]:
        labels = target["labels"]
        remedy = "start it, or correct its address in Prometheus' configuration"
        yield Finding(TARGETS, f"{labels['job']} {labels['instance']}", "error", _short(target["lastError"]), remedy)
    if len(down) > _NAMED:
        yield Finding(TARGETS, "others", "error", f"{len(down) - _NAMED} more are down", "see /targets of Prometheus")
    if not down:
        yield Finding(TARGETS, "all", "ok", f"{len(active)} active, none is down")


def _rules(server: History) -> Iterator[Finding]:
    loaded = [rule for group in server.get("/api/v1/rules")["groups"] for rule in group["rules"]]
    expected = _expected()
    found = {_identity(rule["name"], rule.get("labels")): rule for rule in loaded}
    missing = sorted({name for name, _ in expected.keys() - found.keys()})
    seen = f"{len(missing)} of this installation are not loaded: {_some(missing)}"
    remedy = "add the files of `trust-otel render` to rule_files in Prometheus' configuration, and reload it"
    yield outcome(RULES, "loaded", seen if missing else None, remedy, f"{len(expected)} of this installation")
    failing = [rule for rule in loaded if rule["health"] == "err"]
    for rule in failing[:_NAMED]:
        yield Finding(RULES, rule["name"], "error", _short(rule.get("lastError", "")), "correct the rule, or its data")
    if not missing:
        yield from _differences(server, expected, found)


def _differences(
    server: History, expected: Mapping[tuple[str, str], str], found: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Iterator[Finding]:
    changed = sorted(
        {key[0] for key, expression in expected.items() if not _same(server, expression, found[key]["query"])}
    )
    if changed:
        seen = f"{len(changed)} have other expressions: {_some(changed)}"
        remedy = "if no site file explains it, they are of another version: render them again, and reload Prometheus"
        yield Finding(RULES, "expressions", "warning", seen, remedy)
    else:
        yield Finding(RULES, "expressions", "ok", "those of this installation")


def _same(server: History, ours: str, theirs: str) -> bool:
    if ours.split() == theirs.split():
        return True
    return bool(_formatted(server, ours) == _formatted(server, theirs))


def _formatted(server: History, expression: str) -> Any:
    return server.get("/api/v1/format_query", {"query": expression})


def _expected() -> dict[tuple[str, str], str]:
    """The expression of each rule of this installation, by name and severity."""
    rules = [
        rule
        for file in files.prometheus_files()
        for group in (yaml.safe_load(file.read_text()) or {}).get("groups", [])
        for rule in group["rules"]
    ]
    return {_identity(rule.get("alert") or rule["record"], rule.get("labels")): rule["expr"] for rule in rules}


def _identity(name: str, labels: Mapping[str, str] | None) -> tuple[str, str]:
    """Alerts of the same name differ in their labels."""
    return name, ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items()))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" and others" if len(names) > _NAMED else "")


def _short(error: str) -> str:
    return error[:200] or "no reason is given"
