"""Writes the rules of the service level objectives: the published file, and the one of the alerts' unit tests."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trust_ops.site_config import DEFAULTS, read_site, slo_rules

_PROMETHEUS: Final = Path(__file__).with_name("prometheus")
PUBLISHED: Final = _PROMETHEUS / slo_rules.FILE
TESTED: Final = _PROMETHEUS / "tests" / "slo" / slo_rules.FILE


if __name__ == "__main__":
    tested = read_site(TESTED.with_name("site.yml").read_text(encoding="utf-8"), "site.yml")
    PUBLISHED.write_text(slo_rules.rule_file(DEFAULTS.objectives), encoding="utf-8")
    TESTED.write_text(slo_rules.rule_file(tested.objectives), encoding="utf-8")
