"""Each picture of docs/dashboards.md exists, and each picture in docs/pictures is shown and answers a question."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from monitoring.dashboards.pictures import FLEET, OUTAGES, PICTURES, Picture
from testbed.screenshots.environment import SCENARIOS
from tests.contract.rule_files import ALERTS
from tests.support.dashboards import FILES

_FOLDER = Path("docs/pictures")
_PAGE = Path("docs/dashboards.md").read_text(encoding="utf-8")
_MOST_BYTES = 7_200_000
_ALERTS = (
    "TrustDatabaseConnectionsFailed",
    "TrustSuspiciousActivity",
    "TrustRevenueDrop",
    "TrustCollectorCannotDeliver",
)


def test_the_folder_has_exactly_the_named_pictures() -> None:
    assert sorted(file.name for file in _FOLDER.iterdir()) == sorted(file for each in PICTURES for file in each.files)


def test_the_pictures_are_small() -> None:
    assert sum(file.stat().st_size for file in _FOLDER.iterdir()) <= _MOST_BYTES


@pytest.mark.parametrize("picture", PICTURES, ids=lambda each: each.name)
def test_each_picture_is_in_the_page_with_its_questions(picture: Picture) -> None:
    assert [file for file in picture.files if f"(pictures/{file})" not in _PAGE] == []
    assert picture.questions
    assert [each for each in picture.questions if each.text not in _PAGE or each.answer not in _PAGE] == []


@pytest.mark.parametrize("picture", PICTURES, ids=lambda each: each.name)
def test_each_picture_has_the_width_of_its_device(picture: Picture) -> None:
    for file in picture.files:
        with Image.open(_FOLDER / file) as image:
            assert (image.width < 500) == file.endswith("-phone.png"), file


def test_every_dashboard_is_shown_over_the_fleet_and_every_outage_on_one() -> None:
    dashboards = sorted(file.stem for file in FILES)
    assert sorted(each.uid for each in FLEET) == dashboards
    assert [each.name for each in OUTAGES] == [f"outage-{scenario}" for scenario in SCENARIOS]


@pytest.mark.parametrize(
    ("picture", "alert"),
    list(
        zip(
            OUTAGES,
            (
                "TrustDatabaseConnectionsFailed",
                "TrustSuspiciousActivity",
                "TrustRevenueDrop",
                "TrustCollectorCannotDeliver",
            ),
            strict=True,
        )
    ),
    ids=lambda each: getattr(each, "name", each),
)
def test_an_outage_is_shown_on_the_dashboard_that_its_alert_opens(picture: Picture, alert: str) -> None:
    urls = {rule.annotations["dashboard_url"] for rule in ALERTS if rule.name == alert}
    assert {url.split("/d/")[1].split("?")[0] for url in urls} == {picture.uid}
