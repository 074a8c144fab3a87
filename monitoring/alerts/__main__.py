"""Writes monitoring/prometheus/trust-service-alerts.yml, and the list of alerts in monitoring/runbooks/README.md."""

from __future__ import annotations

from monitoring.alerts.files import INDEX, RULES, rule_file, with_index

if __name__ == "__main__":
    RULES.write_text(rule_file(), encoding="utf-8")
    INDEX.write_text(with_index(INDEX.read_text(encoding="utf-8")), encoding="utf-8")
