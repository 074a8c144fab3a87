"""References in texts exist: files, commands, settings, series, panels, alerts and functions."""

from __future__ import annotations

import pytest

from tests.contract.references import (
    CHECKS,
    Check,
    Text,
    requirement_codes,
    texts,
    unknown_alerts,
    unknown_commands,
    unknown_functions,
    unknown_links,
    unknown_modules,
    unknown_panels,
    unknown_paths,
    unknown_series,
    unknown_settings,
    unknown_targets,
)


def _findings(text: Text) -> dict[str, list[str]]:
    return {check.__name__: found for check in CHECKS if (found := list(check(text)))}


@pytest.mark.parametrize("text", texts(), ids=lambda text: text.name)
def test_references_exist(text: Text) -> None:
    assert _findings(text) == {}


def test_every_kind_of_text_is_read() -> None:
    names = {text.name for text in texts()}
    assert names >= {
        "README.md",
        "docs/alerting.md",
        "monitoring/runbooks/TrustServiceDown.md",
        "monitoring/prometheus/trust-service-alerts.yml",
        "monitoring/provisioning/grafana.env",
        "monitoring/.env.example",
        "monitoring/grafana/trust-service-operational.json",
        "trust-otel stack up --help",
    }


@pytest.mark.parametrize(
    ("check", "content"),
    [
        (unknown_links, "[gone](docs/gone.md)"),
        (unknown_links, "[no such heading](README.md#nothing-here)"),
        (unknown_paths, "see monitoring/gone/rules.yml"),
        (unknown_paths, "the file `gone.toml`"),
        (unknown_paths, "all of `docs/gone/*.md`"),
        (unknown_commands, "`trust-otel heal`"),
        (unknown_commands, "`trust-otel stack heal`"),
        (unknown_commands, "```sh\ntrust-otel doctor --deep\n```"),
        (unknown_targets, "`make coffee`"),
        (unknown_targets, "`make demo UNTIL=noon`"),
        (unknown_modules, "run `python -m benchmarks.gone`"),
        (unknown_settings, "TRUST_OTEL_COLOUR"),
        (unknown_settings, "`OTEL_EXPORTER_OTLP_ENDPIONT`"),
        (unknown_series, "`trust_gone_total`"),
        (unknown_series, "`trust.certificate.gone`"),
        (unknown_series, "`service:gone:rate2m`"),
        (unknown_panels, "https://grafana.example/d/trust-service-gone"),
        (unknown_panels, "https://grafana.example/d/trust-service-operational?viewPanel=999"),
        (unknown_panels, "Panels: Gone (operations)."),
        (unknown_panels, "Panels: Error rate (operations),\nGone (operations)."),
        (unknown_panels, "Panels: Error rate (security)."),
        (unknown_functions, "`metrics.record_gone(1)`"),
        (unknown_functions, "no sessions; record_session counts them"),
        (unknown_alerts, "see TrustGone"),
        (unknown_alerts, "`TrustGone.+`"),
        (requirement_codes, "as A12 demands"),
        (requirement_codes, "Panels: O1 health."),
    ],
)
def test_a_missing_reference_is_found(check: Check, content: str) -> None:
    assert list(check(Text("page.md", content)))


@pytest.mark.parametrize(
    "content",
    [
        "[settings](docs/settings.md), [there](README.md#settings), [elsewhere](https://example.org/gone)",
        "`docs/*.md`, `../docs/alerting.md`, `prometheus/trust-service-alerts.yml`, monitoring/.env, tools/preview/.",
        "`trust-otel doctor`\n\n```sh\nkubectl exec x -- trust-otel stack status --json | grep up\n```",
        "`make demo FOR=60s REPORT=report.json`, make a mess",
        "`python -m benchmarks.lookups`",
        "TRUST_OTEL_STRICT, `OTEL_METRICS_EXPORTER=prometheus`, `OTEL_EXPORTER_*`",
        '`trust_otel_dropped_total{reason="private_value"}`, `trust.outcome`, `trust.certificate.operation.duration`',
        "/d/trust-service-operational?from=now-1h&viewPanel=1",
        "Panels: Error rate (operations), HTTP request rate and\nlatency (operations).",
        "`metrics.record_auth_attempt(...)`, record_audit_event",
        "TrustServiceDown, `TrustGrpc.+`, TrustServiceMetrics",
        "levels L1 to L4, object storage in `S3`, SHA256",
    ],
)
def test_an_existing_reference_is_not_a_finding(content: str) -> None:
    assert _findings(Text("page.md", content)) == {}
