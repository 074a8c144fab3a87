"""Writes the dashboards, what a site changes in them, and docs/dashboards.md."""

from __future__ import annotations

from pathlib import Path

from monitoring.dashboards.files import places, render, render_catalogue, render_optional
from trust_ops.site_config.dashboards import VALUES, dumped

_ROOT = Path(__file__).parents[2]

if __name__ == "__main__":
    for name, text in render().items():
        (_ROOT / "monitoring" / "grafana" / name).write_text(text, encoding="utf-8")
    for name, text in render_optional().items():
        (_ROOT / "monitoring" / "provisioning" / "optional" / name).write_text(text, encoding="utf-8")
    VALUES.write_text(dumped(places()), encoding="utf-8")
    (_ROOT / "docs" / "dashboards.md").write_text(render_catalogue(), encoding="utf-8")
