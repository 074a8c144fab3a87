"""The rules of a site."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trust_ops.site_config import slo_rules
from trust_ops.site_config.published_alerts import ALERT_RULES
from trust_ops.site_config.recording_rules import with_critical_routes, with_namespaces
from trust_ops.site_config.required_controls import with_required_controls
from trust_ops.site_config.rule_templates import (
    Overrides,
    RuleGroup,
    RuleValues,
    rule_file,
    rule_groups,
    threshold_problems,
    with_thresholds,
)
from trust_ops.site_config.site import BySeverity, Site
from trust_ops.site_config.yaml_document import Path
from trust_ops.stack.files import project_file

RECORDING_RULES: Final = "trust-service-recording.yml"


def rule_files(site: Site) -> dict[str, str]:
    """The text of each rule file by name."""
    recording = project_file(f"monitoring/prometheus/{RECORDING_RULES}").read_text(encoding="utf-8")
    return {
        ALERT_RULES: rule_file(groups_of_site(site), rule_values(site)),
        RECORDING_RULES: _recording_rules(recording, site),
        slo_rules.FILE: slo_rules.rule_file(site.objectives),
    }


def _recording_rules(published: str, site: Site) -> str:
    rules = with_critical_routes(with_namespaces(published, site.kubernetes.namespaces), site.critical.http_routes)
    return with_required_controls(rules, site.compliance.required_controls)


def groups_of_site(site: Site) -> tuple[RuleGroup, ...]:
    """The alerts with the thresholds of a site."""
    return with_thresholds(rule_groups(), _overrides(site))


def rule_values(site: Site) -> RuleValues:
    """What a site changes in rules, besides thresholds."""
    critical, required = site.critical, bool(site.compliance.required_controls)
    links = site.links
    return RuleValues(links["grafana"], links["runbooks"], critical.grpc_methods, critical.http_routes, required)


def problems(site: Site) -> Iterator[tuple[Path, str]]:
    """The path of each setting with which rules could not work, and the remedy."""
    for path, remedy in threshold_problems(rule_groups(), _overrides(site)):
        yield ("thresholds", *path), remedy


def _overrides(site: Site) -> Overrides:
    return {
        name: given.model_dump(exclude_none=True) if isinstance(given, BySeverity) else given
        for name, given in site.thresholds.items()
    }
