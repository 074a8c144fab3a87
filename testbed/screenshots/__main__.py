"""`make pictures`: takes screenshots of the dashboards over a seeded fleet, and of a running stack in outages."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Final

import click
from playwright.sync_api import Error as PlaywrightError
from rich.console import Console

from examples.demo.program import ServiceError
from monitoring.dashboards.pictures import DEVICES, FLEET, OUTAGES, THEMES, Picture
from monitoring.dashboards.template import BUSINESS
from testbed.load_generator import LoadGeneratorError
from testbed.screenshots.environment import SCENARIOS, Environment, environment
from testbed.screenshots.fleet import fleet
from testbed.screenshots.palette import save_small
from tools.preview import BuildFailed, Preview
from tools.preview.browser import DESKTOP, PHONE, Browser, dashboard_url
from trust_ops.durations import Duration
from trust_ops.private_files import private_folder
from trust_ops.stack import StackError
from trust_ops.stack.commands import signals_as_interrupt

_FOLDER = Path(".trust-otel/pictures")
_PICTURES = Path("docs/pictures")

_WIDTHS: Final = {"desktop": DESKTOP, "phone": PHONE}
# Long enough for the alerts to fire.
_OUTAGE_SECONDS: Final = 90.0
# Also the screenshots of an outage take time.
_TRAFFIC_SECONDS: Final = 300.0
# The business dashboard also shows the backfilled data, which other dashboards do not have.
_BUSINESS_SPAN: Final = {"from": "now-6h", "to": "now"}
# What an outage changes is at the top of a page.
_OUTAGE_HEIGHTS: Final = {"desktop": 1840, "phone": 1800}


_WHOLE: Final[Mapping[str, int]] = {}
Progress = Callable[[str], None]


@click.command()
@click.option(
    "--for",
    "duration",
    type=Duration(),
    default="6m",
    show_default=True,
    help="Time before the first outage. With less, panels that show hours are empty.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=_PICTURES,
    show_default=True,
    help="Output directory.",
)
def pictures(duration: timedelta, folder: Path) -> None:
    """Take screenshots of the five dashboards over a fleet, and in four outages, light and dark, on desktop and phone.

    In the outages, real services, databases, Collector, Prometheus and Alertmanager run on this machine. Fails if a
    panel is empty or shows an error.
    """
    console = Console()
    began = time.monotonic()

    def progress(line: str) -> None:
        console.print(f"{time.monotonic() - began:5.0f} s  {line}", highlight=False, markup=False, soft_wrap=True)

    shutil.rmtree(_FOLDER, ignore_errors=True)
    private_folder(_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with signals_as_interrupt():
            with Browser() as browser:
                flaws = _take_fleet(browser, folder, progress)
            # Its servers start in an event loop of their own, which they cannot while a browser is open.
            with environment(_FOLDER / "outages", progress, calm=True) as running, Browser() as browser:
                flaws += _take_outages(running, browser, duration.total_seconds(), folder, progress)
    except (StackError, ServiceError, LoadGeneratorError, BuildFailed, PlaywrightError) as error:
        raise click.ClickException(str(error)) from error
    for flaw in flaws:
        progress(flaw)
    progress(f"The screenshots are in {folder}.")
    if flaws:
        sys.exit(1)


def _take_fleet(browser: Browser, folder: Path, progress: Progress) -> list[str]:
    with fleet(_FOLDER / "fleet", progress) as running, Preview(running.url, on_progress=progress) as preview:
        camera = _Camera(browser, preview, folder, progress)
        span = {"from": f"{running.begin * 1000}", "to": f"{running.end * 1000}"}
        return [flaw for picture in FLEET for flaw in camera.take(picture, span)]


def _take_outages(
    running: Environment, browser: Browser, seconds: float, folder: Path, progress: Progress
) -> list[str]:
    with Preview(running.addresses.prometheus, on_progress=progress) as preview:
        camera = _Camera(browser, preview, folder, progress)
        progress(f"waiting {seconds:.0f} s, so that the graphs have data")
        time.sleep(max(0.0, running.began + seconds - time.time()))
        running.stop_traffic()
        flaws = []
        for scenario, picture in zip(SCENARIOS, OUTAGES, strict=True):
            progress(f"{scenario}: waiting {_OUTAGE_SECONDS:.0f} s")
            with running.scenario(scenario, _TRAFFIC_SECONDS):
                time.sleep(_OUTAGE_SECONDS)
                span = {"from": f"{running.began * 1000:.0f}", "to": "now"}
                shown = _BUSINESS_SPAN if picture.uid == BUSINESS else span
                flaws += camera.take(picture, shown, _OUTAGE_HEIGHTS)
        return flaws


class _Camera:
    """Takes screenshots of dashboards."""

    def __init__(self, browser: Browser, preview: Preview, folder: Path, progress: Progress) -> None:
        self._browser = browser
        self._preview = preview
        self._folder = folder
        self._progress = progress

    def take(self, picture: Picture, span: Mapping[str, str], heights: Mapping[str, int] = _WHOLE) -> list[str]:
        """Take the screenshots of a picture; returns the panels that are empty or show an error.

        Args:
            heights: How much of the page to keep by device, in CSS pixels; by default all of it.
        """
        flaws = []
        for theme, device in product(THEMES, DEVICES):
            self._browser.open(
                dashboard_url(self._preview.url, picture.uid, theme=theme, query=span), width=_WIDTHS[device]
            )
            file = self._folder / picture.file(theme, device)
            self._browser.screenshot(file)
            panels = self._browser.panels()
            save_small(file, _WIDTHS[device], heights.get(device))
            found = [
                f"{file.name}: {each.title} is {each.state} {each.error or ''}" for each in panels if each.state != "ok"
            ]
            size = file.stat().st_size / 1000
            self._progress(f"{file}: {len(panels)} panels, {len(found)} empty or with an error, {size:.0f} kB")
            flaws += found
        return flaws


if __name__ == "__main__":
    pictures()
