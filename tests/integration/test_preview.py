"""The dashboard preview in a real browser, with data of a real Prometheus."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Error, expect

from tests.support import preview_fixture as fixture
from tests.support.preview_fixture import CHOICES, FAULTY, UID
from tools.preview import Preview
from tools.preview.browser import DESKTOP, PHONE, Browser, PanelState, dashboard_url
from trust_ops.stack.ports import LOOPBACK, free_ports

_MISSING = [name for name in ("node", "npm", "chromium") if shutil.which(name) is None]

# Tests are skipped without these, except in CI, where they fail.
pytestmark = pytest.mark.skipif(
    bool(_MISSING) and "CI" not in os.environ, reason=f"not on this machine: {', '.join(_MISSING)}"
)

EMPTY = {fixture.EMPTY_GRAPH, fixture.EMPTY_STAT, fixture.EMPTY_TABLE}
_RGB = re.compile(r"rgb\((\d+), (\d+), (\d+)\)")
WRONG = {fixture.BROKEN, fixture.ODD}


@pytest.fixture(scope="module")
def dashboards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixture.write_dashboard(tmp_path_factory.mktemp("dashboards"))


@pytest.fixture(scope="module")
def preview(tmp_path_factory: pytest.TempPathFactory, dashboards: Path) -> Iterator[Preview]:
    with (
        fixture.prometheus(tmp_path_factory.mktemp("prometheus")) as prometheus,
        Preview(prometheus, dashboards=dashboards, on_progress=print) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as running:
        yield running


def _by_number(panels: list[PanelState]) -> dict[int, PanelState]:
    return {panel.id: panel for panel in panels}


def _open(browser: Browser, url: str, width: int = DESKTOP) -> dict[int, PanelState]:
    """Open a page, which must have no errors; returns its panels."""
    panels = _by_number(browser.open(url, width=width))
    assert browser.page.evaluate("document.body.dataset.failures ?? null") is None
    return panels


def test_every_type_of_panel_shows_its_data(preview: Preview, browser: Browser) -> None:
    panels = _open(browser, dashboard_url(preview.url, UID))
    shown = {number: panel for number, panel in panels.items() if number < 20}
    assert len(shown) == 11
    assert {number: panel.state for number, panel in shown.items()} == dict.fromkeys(shown, "ok")
    for number in (
        fixture.GRAPH,
        fixture.STAT,
        fixture.GAUGE,
        fixture.BARS,
        fixture.TABLE,
    ):
        assert "portal" in shown[number].text
        assert re.search(r"\d+ ms", shown[number].text)
    assert re.search(r"20(\.0)? req/s", shown[fixture.STACKED].text)
    assert "40%" in shown[fixture.PIE].text
    assert {"up", "down"} <= set(shown[fixture.STATES].text.split())
    assert "Shown for All." in shown[fixture.TEXT].text
    assert "TrustTestFires" in shown[fixture.ALERTS].text
    circles = browser.page.locator("circle title").all_text_contents()
    assert {title.split(":")[0] for title in circles} == {"DE", "FR", "SG", "US"}


def test_states_have_the_colours_of_their_mappings(preview: Preview, browser: Browser) -> None:
    _open(browser, dashboard_url(preview.url, UID, panel=fixture.STATES))
    assert _drawn_states(browser) == {"up", "down"}
    assert fixture.NOTHING not in browser.page.inner_text("body")


def test_states_by_threshold_ignore_the_mappings_as_in_grafana(preview: Preview, browser: Browser) -> None:
    panels = _open(browser, dashboard_url(preview.url, FAULTY))
    assert not _drawn_states(browser) & {"up", "down"}
    assert not {"up", "down"} & set(panels[fixture.MERGED_STATES].text.split())


def _drawn_states(browser: Browser) -> set[str]:
    titles = browser.page.locator("rect title").all_text_contents()
    assert titles
    return {title.split(": ")[1] for title in titles}


def test_an_alert_list_needs_its_data_source_by_name_as_in_grafana(preview: Preview, browser: Browser) -> None:
    panels = _open(browser, dashboard_url(preview.url, FAULTY))
    assert panels[fixture.ALERTS_OF_A_VARIABLE].state == "empty"
    assert "No alerts matching filters" in panels[fixture.ALERTS_OF_A_VARIABLE].text


def test_a_map_with_tiles_from_the_internet_is_an_error(preview: Preview, browser: Browser) -> None:
    panels = _open(browser, dashboard_url(preview.url, FAULTY))
    assert "tiles from the internet" in panels[fixture.TILES].text
    panels = _open(browser, dashboard_url(preview.url, UID))
    assert "tiles" not in panels[fixture.MAP].text


def test_a_number_without_data_has_the_colour_of_the_first_threshold_as_in_grafana(
    preview: Preview, browser: Browser
) -> None:
    panels = _open(browser, dashboard_url(preview.url, FAULTY, panel=fixture.GREEN_NOTHING))
    assert fixture.NOTHING in panels[fixture.GREEN_NOTHING].text
    assert _is_green(browser)


def _is_green(browser: Browser) -> bool:
    """Whether an element has Grafana's green as background."""
    backgrounds = browser.page.evaluate(
        "[...document.querySelectorAll('section *')].map((each) => getComputedStyle(each).background)"
    )
    colours = [tuple(map(int, found)) for each in backgrounds for found in _RGB.findall(each)]
    return any(green > 1.4 * red and green > 1.2 * blue for red, green, blue in colours)


def test_a_panel_without_data_explains_what_that_means(preview: Preview, browser: Browser) -> None:
    panels = _open(browser, dashboard_url(preview.url, UID))
    assert {number for number, panel in panels.items() if panel.state == "empty"} == EMPTY
    assert all(fixture.NOTHING in panels[number].text for number in EMPTY)


def test_a_panel_that_cannot_be_drawn_shows_an_error(preview: Preview, browser: Browser) -> None:
    panels = _open(browser, dashboard_url(preview.url, UID))
    assert {number for number, panel in panels.items() if panel.state == "error"} == WRONG
    assert "parse error" in (panels[fixture.BROKEN].error or "")
    assert "candlestick" in (panels[fixture.ODD].error or "")


@pytest.mark.parametrize(("chosen", "shown"), [(["pki"], {"pki"}), (["pki", "portal"], {"pki", "portal"})])
def test_variables_in_the_url_select_the_series(
    preview: Preview, browser: Browser, chosen: list[str], shown: set[str]
) -> None:
    panels = _open(browser, dashboard_url(preview.url, UID, query={"var-service": chosen}))
    assert {service for service in fixture.SERVICES if service in panels[fixture.STACKED].text} == shown
    assert panels[fixture.GRAPH].title == f"Latency of {' + '.join(chosen)}"


def test_variables_offer_the_values_in_prometheus_and_change_the_panels(preview: Preview, browser: Browser) -> None:
    _open(browser, dashboard_url(preview.url, UID))
    browser.page.locator('[data-variable="service"] input').click()
    options = browser.page.get_by_role("option")
    expect(options).to_have_text(["pki", "portal"])
    options.get_by_text("portal").click()
    browser.wait()
    panels = _by_number(browser.panels())
    assert panels[fixture.GRAPH].title == "Latency of portal"
    assert _query(browser)["var-service"] == ["portal"]


def test_a_cell_links_to_another_dashboard_with_its_service_and_time_range(preview: Preview, browser: Browser) -> None:
    _open(browser, dashboard_url(preview.url, UID, query={"from": "now-30m", "to": "now"}))
    browser.page.get_by_role("link", name="portal", exact=True).first.click()
    browser.wait()
    assert [panel.title for panel in browser.panels()] == ["Words"]
    assert urlsplit(browser.page.url).path == "/d/other"
    query = _query(browser)
    assert (query["from"], query["to"]) == (["now-30m"], ["now"])
    assert query["var-environment"] == ["$__all"]
    assert query["var-service"] == ["portal"]
    assert "Shown for portal." in browser.panels()[0].text


def test_dashboards_are_linked_with_their_variables_and_time(preview: Preview, browser: Browser) -> None:
    _open(browser, dashboard_url(preview.url, UID, query={"var-service": "pki", "from": "now-15m"}))
    links = browser.page.evaluate("[...document.querySelectorAll('nav[aria-label=Links] a')].map((each) => each.href)")
    assert [urlsplit(link).path for link in links] == ["/d/other"]
    query = parse_qs(urlsplit(links[0]).query)
    assert query["var-service"] == ["pki"]
    assert query["from"] == ["now-15m"]


def test_a_single_environment_is_the_first_if_the_saved_one_does_not_exist(preview: Preview, browser: Browser) -> None:
    panels = _open(browser, dashboard_url(preview.url, CHOICES))
    assert panels[1].text.endswith("Of [test]: [the pki] with the id [pki-0].")


def test_the_empty_environment_and_an_instance_are_chosen_by_the_url(preview: Preview, browser: Browser) -> None:
    panels = _open(browser, dashboard_url(preview.url, CHOICES, query={"var-environment": ""}))
    assert panels[1].text.endswith("Of []: [the cron] with the id [cron-0].")
    panels = _open(browser, dashboard_url(preview.url, CHOICES, query={"var-instance": "portal-0"}))
    assert panels[1].text.endswith("Of [test]: [the portal] with the id [portal-0].")


def test_all_environments_cannot_be_chosen(preview: Preview, browser: Browser) -> None:
    panels = _open(browser, dashboard_url(preview.url, CHOICES, query={"var-environment": "$__all"}))
    assert "Of [test]:" in panels[1].text


def test_a_panel_has_its_links(preview: Preview, browser: Browser) -> None:
    _open(browser, dashboard_url(preview.url, UID, panel=fixture.GRAPH))
    browser.page.get_by_test_id("panel-links").click()
    link = browser.page.locator("[role=menu] a")
    expect(link).to_have_text("Runbook")
    expect(link).to_have_attribute("href", "https://runbooks.example.com/TrustTestFires")


def test_one_panel_can_be_shown_alone(preview: Preview, browser: Browser) -> None:
    assert list(_open(browser, dashboard_url(preview.url, UID, panel=fixture.TABLE))) == [fixture.TABLE]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_phone_shows_one_column_without_horizontal_scrolling(preview: Preview, browser: Browser, theme: str) -> None:
    panels = _open(browser, dashboard_url(preview.url, UID, theme=theme), width=PHONE)
    assert len(panels) == 16
    assert browser.page.evaluate("document.documentElement.scrollWidth") <= PHONE
    places = browser.page.evaluate(
        """[...document.querySelectorAll('[data-panel-id]')].map((each) => {
             const { left, width } = each.getBoundingClientRect();
             return [left, width];
           })"""
    )
    assert len({(left, width) for left, width in places}) == 1


@pytest.mark.parametrize(("width", "image_width", "min_height"), [(DESKTOP, DESKTOP, 1500), (PHONE, 2 * PHONE, 6000)])
def test_a_screenshot_shows_the_whole_page(
    preview: Preview, browser: Browser, tmp_path: Path, width: int, image_width: int, min_height: int
) -> None:
    _open(browser, dashboard_url(preview.url, UID, theme="light"), width=width)
    browser.screenshot(tmp_path / "dashboard.png")
    image = Image.open(tmp_path / "dashboard.png")
    assert image.width == image_width
    assert image.height > min_height


def test_an_unreachable_prometheus_is_an_error(dashboards: Path, browser: Browser) -> None:
    (port,) = free_ports(1)
    with Preview(f"http://{LOOPBACK}:{port}", dashboards=dashboards) as preview:
        browser.open(dashboard_url(preview.url, UID))
        assert "cannot be reached" in browser.page.inner_text("body")


def test_an_unknown_dashboard_is_an_error(preview: Preview, browser: Browser) -> None:
    browser.open(dashboard_url(preview.url, "nowhere"))
    assert "There is no dashboard nowhere" in browser.page.inner_text("body")


def test_a_page_that_is_not_ready_in_time_is_an_error(preview: Preview, browser: Browser) -> None:
    with pytest.raises(Error, match="not ready"):
        browser.open(dashboard_url(preview.url, UID), timeout=0.001)
    browser.wait()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/prometheus/api/v1/admin/tsdb/delete_series"),
        ("GET", "/prometheus/api/v1/status/config"),
        ("GET", "/prometheus/-/quit"),
        ("GET", "/prometheus/api/v1/label/../admin/values"),
        ("GET", "/..%2f..%2fpyproject.toml"),
        ("POST", "/dashboards.json"),
    ],
)
def test_only_pages_and_read_only_requests_are_served(preview: Preview, method: str, path: str) -> None:
    address = urlsplit(preview.url)
    request = httpx.Request(method, preview.url, extensions={"target": path.encode()})
    with httpx.Client(trust_env=False) as client:
        assert client.send(request).status_code == 404, address


def test_the_command_serves_until_it_is_stopped(preview: Preview, dashboards: Path) -> None:
    command = [sys.executable, "-m", "tools.preview", "--prometheus", preview.url, "--dashboards", str(dashboards)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        listed = httpx.get(f"{found[0]}/dashboards.json", trust_env=False).json()
        assert {dashboard["uid"] for dashboard in listed} == {UID, "other", CHOICES, FAULTY}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def _query(browser: Browser) -> dict[str, list[str]]:
    return parse_qs(urlsplit(browser.page.url).query)
