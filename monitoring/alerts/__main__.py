"""Writes the rule templates, the rule file, and the lists in monitoring/runbooks/README.md and docs/alerting.md."""

from __future__ import annotations

from monitoring.alerts.declaration import PUBLISHED
from monitoring.alerts.files import INDEX, RULES, THRESHOLDS, templates, with_index, with_thresholds
from trust_ops.site_config.rule_templates import TEMPLATES, dumped, rule_file

if __name__ == "__main__":
    TEMPLATES.write_text(dumped(templates()), encoding="utf-8")
    RULES.write_text(rule_file(templates(), PUBLISHED), encoding="utf-8")
    INDEX.write_text(with_index(INDEX.read_text(encoding="utf-8")), encoding="utf-8")
    THRESHOLDS.write_text(with_thresholds(THRESHOLDS.read_text(encoding="utf-8")), encoding="utf-8")
