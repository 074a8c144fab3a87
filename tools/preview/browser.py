"""Open dashboards of the preview in Chromium, and take screenshots."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final
from urllib.parse import urlencode

from playwright.sync_api import Error, Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

DESKTOP: Final = 1600
PHONE: Final = 390

_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MIN_HEIGHT = 600

_PANELS = """
[...document.querySelectorAll('[data-panel-id]')].map((panel) => ({
  id: Number(panel.dataset.panelId),
  type: panel.dataset.panelType,
  title: panel.dataset.panelTitle,
  state: panel.dataset.state,
  error: panel.dataset.error ?? null,
  text: panel.innerText,
}))
"""


@dataclass(frozen=True)
class PanelState:
    """The content of a panel.

    Attributes:
        id: Its number in the dashboard.
        type: Such as timeseries.
        title: As shown.
        state: ok, empty (there is no data), or error.
        error: The error that Prometheus returned for a query.
        text: All of its text, except in graphs and their axes.
    """

    id: int
    type: str
    title: str
    state: str
    error: str | None
    text: str


class Browser:
    """A headless Chromium with a desktop page and a phone page. Use as a context manager.

    In the thread that uses it, no asyncio event loop and no other `Browser` can run at the same time.

    Attributes:
        page: The page that `open` has opened last.
    """

    page: Page

    def __enter__(self) -> Browser:
        """Start it. Raises playwright.sync_api.Error if Chromium is not installed or does not start."""
        executable = next(filter(None, map(shutil.which, _COMMANDS)), None)
        if executable is None:
            raise Error("Chromium is not installed: `apt install chromium`, or Google Chrome.")
        with ExitStack() as stack:
            playwright = stack.enter_context(sync_playwright())
            # The sandbox does not work for root.
            sandbox = os.geteuid() != 0
            chromium = playwright.chromium.launch(executable_path=executable, chromium_sandbox=sandbox)
            stack.enter_context(chromium)
            self._pages = {
                DESKTOP: chromium.new_page(),
                PHONE: chromium.new_page(device_scale_factor=2, is_mobile=True),
            }
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def open(self, url: str, *, width: int = DESKTOP, timeout: float = 60.0) -> list[PanelState]:
        """Open a page of the preview in place of the previous one, wait for its data, and return its panels.

        Args:
            url: As from `dashboard_url`.
            width: `DESKTOP` or `PHONE`.
            timeout: In seconds, for the data.

        Raises:
            playwright.sync_api.Error: The page could not be opened, or the data did not arrive in time.
        """
        self.page = self._pages[width]
        self._width = width
        self._set_height(_MIN_HEIGHT)
        self.page.goto(url)
        self.wait(timeout)
        return self.panels()

    def wait(self, timeout: float = 60.0) -> None:
        """Wait until the page has all of its data. Raises playwright.sync_api.Error after `timeout` seconds."""
        with suppress(PlaywrightTimeout):
            finished = self.page.locator("body:is([data-state=ready], [data-state=failed])")
            finished.wait_for(state="attached", timeout=timeout * 1000)
        body = self.page.locator("body")
        if (state := body.get_attribute("data-state")) != "ready":
            raise Error(f"The page is not ready but {state}: {body.inner_text()}")

    def panels(self) -> list[PanelState]:
        """Return the panels of the page as they are now."""
        return [PanelState(**panel) for panel in self.page.evaluate(_PANELS)]

    def screenshot(self, png: Path) -> None:
        """Take a screenshot of the whole page."""
        # With `full_page` instead, graphs are drawn anew during the capture, and labels of axes can be cut off.
        self._set_height(self.page.evaluate("document.documentElement.scrollHeight"))
        self.wait()
        self.page.screenshot(path=png)

    def _set_height(self, height: int) -> None:
        self.page.set_viewport_size({"width": self._width, "height": height})


def dashboard_url(
    preview_url: str,
    uid: str,
    *,
    theme: str = "dark",
    panel: int | None = None,
    query: Mapping[str, str | Sequence[str]] | None = None,
) -> str:
    """Return the address of a dashboard.

    Args:
        preview_url: As `Preview.url`.
        uid: Of the dashboard.
        theme: dark or light.
        panel: The only panel to show.
        query: More parameters of the address, such as `from` and `var-service`. By default, the page does not refresh.
    """
    parameters = {"theme": theme, "refresh": "", **({} if panel is None else {"viewPanel": panel}), **(query or {})}
    return f"{preview_url}/d/{uid}?{urlencode(parameters, doseq=True)}"
