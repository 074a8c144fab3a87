"""Look at dashboards with Chromium, and take pictures of what it shows."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlencode

DESKTOP: Final = 1600
PHONE: Final = 390

_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ANSWER_TIMEOUT = 30.0
_PHONE_SCALE = 2
_SHORTEST = 600
# A browser paints no picture that is higher than this in pixels of the screen.
_HIGHEST = 16_000

# Chromium reads commands from descriptor 3 and answers on 4.
_LAUNCHER = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(each), fcntl.F_DUPFD_CLOEXEC, 10) for each in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""

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


class BrowserError(Exception):
    """There is no Chromium, or it did not show the page; the text says why."""


@dataclass(frozen=True)
class PanelState:
    """What a panel shows.

    Attributes:
        id: Its number in the dashboard.
        type: Such as timeseries.
        title: As shown.
        state: ok, empty (there is no data), or error.
        error: What Prometheus said against a query.
        text: All that can be read in it; lines of graphs and their axes cannot.
    """

    id: int
    type: str
    title: str
    state: str
    error: str | None
    text: str


class Browser:
    """A Chromium without a window, from entering to leaving the context."""

    def __enter__(self) -> Browser:
        """Start it. Raises BrowserError when there is none."""
        executable = next(filter(None, map(shutil.which, _COMMANDS)), None)
        if executable is None:
            raise BrowserError("Chromium is not installed: `apt install chromium`, or Google Chrome.")
        self._profile = tempfile.TemporaryDirectory(prefix="preview-", ignore_cleanup_errors=True)
        their_read, self._write = os.pipe()
        self._read, their_write = os.pipe()
        self._log = Path(self._profile.name, "chromium.log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [
                    *(sys.executable, "-c", _LAUNCHER, str(their_read), str(their_write), executable),
                    *("--headless=new", "--remote-debugging-pipe", "--hide-scrollbars", "--disable-gpu"),
                    *("--no-first-run", "--disable-extensions", "--disable-background-networking"),
                    # Containers have a small /dev/shm; and root has no sandbox.
                    "--disable-dev-shm-usage",
                    *(["--no-sandbox"] if os.geteuid() == 0 else []),
                    f"--user-data-dir={self._profile.name}",
                    "about:blank",
                ],
                pass_fds=(their_read, their_write),
                stdout=log,
                stderr=log,
            )
        os.close(their_read)
        os.close(their_write)
        self._buffer = b""
        self._last_id = 0
        self._session: str | None = None
        try:
            target = self._call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self._call("Page.enable")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._session = None
        with contextlib.suppress(OSError):
            self._send("Browser.close")
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)
        self._profile.cleanup()

    def open(self, url: str, *, width: int = DESKTOP, timeout: float = 60.0) -> list[PanelState]:
        """Open a page of the preview and wait for its data; what its panels show.

        A page of a phone's width is shown as a phone does. Raises BrowserError when the data do not come in `timeout`
        seconds.
        """
        self._resize(width, _SHORTEST, _PHONE_SCALE if _is_phone(width) else 1)
        self._call("Page.navigate", url=url)
        self.wait(timeout)
        return self.panels()

    def wait(self, timeout: float = 60.0) -> None:
        """Wait until the page has all of its data. Raises BrowserError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (state := self.evaluate("document.body?.dataset.state")) != "ready":
            if state == "failed" or time.monotonic() > deadline:
                raise BrowserError(f"The page is not ready but {state}: {self.evaluate('document.body?.innerText')}")
            time.sleep(0.05)

    def panels(self) -> list[PanelState]:
        """What the panels of the page show."""
        return [PanelState(**panel) for panel in self.evaluate(_PANELS)]

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in JavaScript. Raises BrowserError when it throws."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def picture(self, png: Path, *, width: int = DESKTOP) -> None:
        """A picture of the whole page, with a phone's two pixels for one unless that is too much to paint."""
        height = int(self.evaluate("Math.ceil(document.querySelector('main').getBoundingClientRect().height)"))
        scale = _PHONE_SCALE if _is_phone(width) and height * _PHONE_SCALE <= _HIGHEST else 1
        self._resize(width, min(max(height, _SHORTEST), _HIGHEST), scale)
        self.wait()
        # Graphs that have just come into view draw in the next frame.
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        png.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def _resize(self, width: int, height: int, scale: int) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=_is_phone(width),
        )

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = self._send(method, **parameters)
        deadline = time.monotonic() + _ANSWER_TIMEOUT
        while True:
            message = self._receive(deadline, method)
            if message.get("id") == number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']['message']}")
                result: dict[str, Any] = message["result"]
                return result

    def _send(self, method: str, **parameters: Any) -> int:
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        return self._last_id

    def _receive(self, deadline: float, method: str) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            readable, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self._read, 1 << 20) if readable else b""
            if not chunk:
                why = "ended" if readable else f"did not answer {method} in {_ANSWER_TIMEOUT:g} s"
                raise BrowserError(f"Chromium {why}:\n{self._log.read_text(errors='replace')[-2000:]}")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed


def look(
    preview_url: str,
    uid: str,
    png: Path | None = None,
    *,
    width: int = DESKTOP,
    theme: str = "dark",
    panel: int | None = None,
    query: Mapping[str, str | Sequence[str]] | None = None,
    timeout: float = 60.0,
) -> list[PanelState]:
    """Open a dashboard in a browser of its own; what its panels show.

    Args:
        preview_url: As `Preview.url`.
        uid: Of the dashboard.
        png: Where a picture of the whole page is to be written.
        width: In pixels; `DESKTOP` or `PHONE`.
        theme: dark or light.
        panel: The only one to show.
        query: More of the address, such as `from` and `var-service`.
        timeout: In seconds, for the data.

    Raises:
        BrowserError: There is no Chromium, or the data did not come.
    """
    with Browser() as browser:
        found = browser.open(
            dashboard_url(preview_url, uid, theme=theme, panel=panel, query=query), width=width, timeout=timeout
        )
        if png is not None:
            browser.picture(png, width=width)
            found = browser.panels()
        return found


def dashboard_url(
    preview_url: str,
    uid: str,
    *,
    theme: str = "dark",
    panel: int | None = None,
    query: Mapping[str, str | Sequence[str]] | None = None,
) -> str:
    """The address of a dashboard that does not refresh itself, unless `query` says otherwise."""
    parameters = {"theme": theme, "refresh": "", **({} if panel is None else {"viewPanel": panel}), **(query or {})}
    return f"{preview_url}/d/{uid}?{urlencode(parameters, doseq=True)}"


def _is_phone(width: int) -> bool:
    return width < 768
