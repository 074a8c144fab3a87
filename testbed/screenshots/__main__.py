"""`make pictures`: takes screenshots of the dashboards of a running stack, in normal operation and in outages."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Final

import click
from playwright.sync_api import Error as PlaywrightError
from rich.console import Console

from examples.demo.program import ServiceError
from testbed.load_generator import LoadGeneratorError
from testbed.screenshots.environment import SCENARIOS, Environment, environment
from testbed.screenshots.palette import reduce_colours
from tools.preview import BuildFailed, Preview
from tools.preview.browser import DESKTOP, PHONE, Browser, dashboard_url
from trust_ops.durations import Duration
from trust_ops.private_files import private_folder
from trust_ops.stack import StackError
from trust_ops.stack.commands import signals_as_interrupt

_FOLDER = Path(".trust-otel/pictures")
_PICTURES = Path("docs/pictures")

_UIDS: Final = tuple(f"trust-service-{name}" for name in ("operational", "security", "business", "monitoring"))
# The dashboard to show in each scenario.
_SCENARIO_DASHBOARDS: Final = {
    "database-down": "trust-service-operational",
    "attack": "trust-service-security",
    "revenue-drop": "trust-service-business",
}
_THEMES = ("dark", "light")
_WIDTHS = {"desktop": DESKTOP, "phone": PHONE}
# Long enough for the panels to change to red.
_SCENARIO_SECONDS = 60.0
# The business dashboard also shows the backfilled data, which other dashboards do not have.
_BUSINESS_SPAN: Final = {"from": "now-6h", "to": "now"}


@click.command()
@click.option(
    "--for",
    "duration",
    type=Duration(),
    default="6m",
    show_default=True,
    help="Time before the first screenshot. With less, panels that show hours are empty.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=_PICTURES,
    show_default=True,
    help="Output directory.",
)
def pictures(duration: timedelta, folder: Path) -> None:
    """Take screenshots of the four dashboards, light and dark, on desktop and phone, and of three outages.

    Real services, databases, Collector, Prometheus and Alertmanager run on this machine meanwhile. Fails if a panel is
    empty or shows an error.
    """
    console = Console()
    began = time.monotonic()

    def progress(line: str) -> None:
        console.print(f"{time.monotonic() - began:5.0f} s  {line}", highlight=False, markup=False, soft_wrap=True)

    shutil.rmtree(_FOLDER, ignore_errors=True)
    private_folder(_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with signals_as_interrupt(), environment(_FOLDER, progress, calm=True) as running:
            flaws = _take_all(running, duration.total_seconds(), folder, progress)
    except (StackError, ServiceError, LoadGeneratorError, BuildFailed, PlaywrightError) as error:
        raise click.ClickException(str(error)) from error
    for flaw in flaws:
        progress(flaw)
    progress(f"The screenshots are in {folder}.")
    if flaws:
        sys.exit(1)


def _take_all(running: Environment, seconds: float, folder: Path, progress: Callable[[str], None]) -> list[str]:
    with Preview(running.addresses.prometheus, on_progress=progress) as preview, Browser() as browser:
        camera = _Camera(browser, preview, running.began, folder, progress)
        progress(f"waiting {seconds:.0f} s, so that the graphs have data")
        time.sleep(max(0.0, running.began + seconds - time.time()))
        flaws = []
        for uid, theme, device in product(_UIDS, _THEMES, _WIDTHS):
            flaws += camera.take(uid, f"{uid.removeprefix('trust-service-')}-{theme}-{device}", theme, _WIDTHS[device])
        running.stop_traffic()
        for scenario in SCENARIOS:
            progress(f"{scenario}: waiting {_SCENARIO_SECONDS:.0f} s")
            with running.scenario(scenario, 2 * _SCENARIO_SECONDS):
                time.sleep(_SCENARIO_SECONDS)
                flaws += camera.take(_SCENARIO_DASHBOARDS[scenario], f"outage-{scenario}")
        return flaws


class _Camera:
    """Takes screenshots of dashboards."""

    def __init__(
        self, browser: Browser, preview: Preview, began: float, folder: Path, progress: Callable[[str], None]
    ) -> None:
        self._browser = browser
        self._preview = preview
        self._folder = folder
        self._progress = progress
        self._span = {"from": f"{began * 1000:.0f}", "to": "now"}

    def take(self, uid: str, name: str, theme: str = "dark", width: int = DESKTOP) -> list[str]:
        """Take a screenshot; returns the panels that are empty or show an error."""
        span = _BUSINESS_SPAN if uid == "trust-service-business" else self._span
        self._browser.open(dashboard_url(self._preview.url, uid, theme=theme, query=span), width=width)
        file = self._folder / f"{name}.png"
        self._browser.screenshot(file)
        panels = self._browser.panels()
        reduce_colours(file)
        flaws = [f"{name}: {each.title} is {each.state} {each.error or ''}" for each in panels if each.state != "ok"]
        size = file.stat().st_size / 1000
        self._progress(f"{file}: {len(panels)} panels, {len(flaws)} empty or with an error, {size:.0f} kB")
        return flaws


if __name__ == "__main__":
    pictures()
