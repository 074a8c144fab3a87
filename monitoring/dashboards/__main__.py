"""Writes monitoring/grafana/*.json and docs/dashboards.md."""

from __future__ import annotations

from pathlib import Path

from monitoring.dashboards.files import render, render_catalogue

_ROOT = Path(__file__).parents[2]

if __name__ == "__main__":
    for name, text in render().items():
        (_ROOT / "monitoring" / "grafana" / name).write_text(text, encoding="utf-8")
    (_ROOT / "docs" / "dashboards.md").write_text(render_catalogue(), encoding="utf-8")
