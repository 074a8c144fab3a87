"""Policies of keys, their file, and what is recorded about keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from trust_otel.metrics import TrustServiceMetrics
from trust_otel.metrics.key_policy import KeyPolicy, read_key_policies

CONTENT = """
[key.issuing-ca]
hours = "08:00-18:00"
weekdays = ["mon", "tue", "wed", "thu", "fri"]
timezone = "Europe/Berlin"
max_uses_per_hour = 100

[key.tsa]
label = "TSA 2026"
hours = "22:30-06:00"
"""
WORKDAYS = frozenset(range(5))
ISSUING = KeyPolicy("issuing-ca", "issuing-ca", ZoneInfo("Europe/Berlin"), 8 * 60, 18 * 60, WORKDAYS, 100)
TSA = KeyPolicy("tsa", "TSA 2026", ZoneInfo("UTC"), 22 * 60 + 30, 6 * 60)

Read = Callable[[str], tuple[KeyPolicy, ...]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(content: str) -> tuple[KeyPolicy, ...]:
        path = tmp_path / "keys.toml"
        path.write_text(content)
        return read_key_policies(path)

    return read


def _at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


class TestFile:
    def test_policies_are_read(self, read: Read) -> None:
        assert read(CONTENT) == (ISSUING, TSA)

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            ("", "the file declares no key; write [key.NAME], or unset TRUST_OTEL_KEY_POLICY_FILE"),
            ("[key.a]", "key 'a': every use would be allowed; set hours, weekdays or max_uses_per_hour"),
            ("[key.a]\ntimezone = 'UTC'", "every use would be allowed"),
            ("[key.a]\nhour = '08:00-09:00'", "there is no key 'hour' (perhaps 'hours'); the keys are label, hours"),
            ("[key.a]\nhours = '8-18'", "hours = '8-18' is not usable; write them as"),
            ("[key.a]\nhours = '08:00-24:01'", "hours = '08:00-24:01' is not usable"),
            ("[key.a]\nhours = '08:00-08:00'", "hours = '08:00-08:00' is not usable"),
            ("[key.a]\nhours = 8", "hours = 8 is not usable"),
            ("[key.a]\nweekdays = 'mon'", "weekdays = 'mon' is not usable; write a list"),
            ("[key.a]\nweekdays = []", "weekdays = [] is not usable"),
            ("[key.a]\nweekdays = ['wen']", "there is no weekday 'wen' (perhaps 'wed'); take some of mon, tue"),
            ("[key.a]\nweekdays = [1]", "there is no weekday 1"),
            ("[key.a]\nweekdays = [['mon']]", "there is no weekday ['mon']"),
            ("[key.a]\nhours = '08:00-09:00'\ntimezone = 'Berlin'", "timezone = 'Berlin' is unknown here; take a name"),
            ("[key.a]\nhours = '08:00-09:00'\ntimezone = '../etc'", "timezone = '../etc' is unknown here"),
            ("[key.a]\nhours = '08:00-09:00'\ntimezone = 1", "timezone = 1 is unknown here"),
            (
                "[key.a]\nmax_uses_per_hour = -1",
                "max_uses_per_hour = -1 is not usable; set a whole number of 0 or more",
            ),
            ("[key.a]\nmax_uses_per_hour = 1.5", "max_uses_per_hour = 1.5 is not usable"),
            ("[key.a]\nmax_uses_per_hour = true", "max_uses_per_hour = True is not usable"),
            (
                "[key.a]\nmax_uses_per_hour = 1\nlabel = 1",
                "label = 1 is not usable; set the label of the key in the HSM",
            ),
            ("[key.'TSA 2026']\nmax_uses_per_hour = 1", "and set label if the key has another one"),
            ("[key]\na = 3", "key 'a': 3 is not a table; write [key.NAME] and its keys below"),
            ("[key.'erika@example.com']\nmax_uses_per_hour = 1", "take a name of letters, digits"),
            ("[key.'']\nmax_uses_per_hour = 1", "take a name of letters, digits"),
        ],
    )
    def test_problem_is_named_with_a_remedy(self, read: Read, content: str, problem: str) -> None:
        with pytest.raises(ValueError, match=re.escape(problem)):
            read(content)

    def test_more_keys_than_the_label_has_values_are_refused(self, read: Read) -> None:
        with pytest.raises(ValueError, match="101 keys are too many; at most 100 are allowed"):
            read("".join(f"[key.a{number}]\nmax_uses_per_hour = 1\n" for number in range(101)))


class TestHours:
    @pytest.mark.parametrize(
        ("now", "use"),
        [
            # Berlin is one hour ahead of UTC in winter, two in summer.
            ("2026-12-01 07:00", "allowed"),
            ("2026-12-01 06:59:59", "outside_hours"),
            ("2026-12-01 16:59:59", "allowed"),
            ("2026-12-01 17:00", "outside_hours"),
            ("2026-07-01 06:00", "allowed"),
            ("2026-07-01 16:00", "outside_hours"),
            ("2026-12-05 12:00", "outside_hours"),
            # Sunday in UTC, Monday in Berlin, but at night.
            ("2026-12-06 23:30", "outside_hours"),
        ],
    )
    def test_are_those_of_the_time_zone(self, now: str, use: str) -> None:
        assert ISSUING.use_at(_at(now)) == use

    @pytest.mark.parametrize(
        ("now", "use"),
        [
            ("2026-12-04 22:29", "outside_hours"),  # a Friday
            ("2026-12-04 22:30", "allowed"),
            ("2026-12-05 05:59", "allowed"),
            ("2026-12-05 06:00", "outside_hours"),
            ("2026-12-05 23:00", "outside_hours"),
            ("2026-12-07 05:00", "outside_hours"),
        ],
    )
    def test_past_midnight_belong_to_the_day_on_which_they_begin(self, now: str, use: str) -> None:
        night = KeyPolicy("night", "night", timezone.utc, 22 * 60 + 30, 6 * 60, WORKDAYS)
        assert night.use_at(_at(now)) == use

    def test_whole_days(self, read: Read) -> None:
        (policy,) = read("[key.a]\nweekdays = ['sat']")
        assert [policy.use_at(_at(f"2026-12-05 {time}")) for time in ("00:00", "23:59")] == ["allowed", "allowed"]
        assert policy.use_at(_at("2026-12-06 00:00")) == "outside_hours"


class TestRate:
    def test_counts_the_uses_of_the_last_hour(self) -> None:
        policy = KeyPolicy("a", "A 1", timezone.utc, max_uses_per_hour=2)
        start = _at("2026-12-01 12:00")
        assert [policy.use_at(start + 60 * minute) for minute in (0, 30, 59)] == ["allowed", "allowed", "over_rate"]
        # The first use is an hour ago, the others are not.
        assert policy.use_at(start + 3600) == "over_rate"
        assert policy.use_at(start + 3600 + 59 * 60) == "allowed"

    def test_a_clock_that_is_set_back_forgets_no_use(self) -> None:
        policy = KeyPolicy("a", "A 1", timezone.utc, max_uses_per_hour=1)
        assert policy.use_at(_at("2026-12-01 12:00")) == "allowed"
        assert policy.use_at(_at("2026-12-01 11:00")) == "over_rate"

    def test_no_use_is_allowed_with_0(self) -> None:
        assert KeyPolicy("a", "A 1", timezone.utc, max_uses_per_hour=0).use_at(0) == "over_rate"


class TestUses:
    def test_every_result_is_0_before_the_first_use(self, recording: Any) -> None:
        recording.recorder.keys.set_key_policies([ISSUING])
        assert {labels["trust.key.use"]: point.value for labels, point in recording.series("trust.key.uses")} == {
            "allowed": 0,
            "outside_hours": 0,
            "over_rate": 0,
        }

    def test_use_is_counted_with_its_compliance(self, recording: Any) -> None:
        recording.recorder.keys.set_key_policies([KeyPolicy("a", "A 1", timezone.utc, max_uses_per_hour=1)])
        for _ in range(3):
            recording.metrics.record_key_use("a")
        assert recording.value("trust.key.uses", {"trust.key.name": "a", "trust.key.use": "allowed"}) == 1
        assert recording.value("trust.key.uses", {"trust.key.name": "a", "trust.key.use": "over_rate"}) == 2

    def test_key_of_an_hsm_is_known_by_its_label(self, recording: Any) -> None:
        recording.recorder.keys.set_key_policies([TSA])
        for label in ("TSA 2026", "tsa"):
            recording.recorder.keys.note_use(label)
        assert recording.value("trust.key.uses", {"trust.key.name": "tsa"}) == 1

    @pytest.mark.parametrize("name", ["unheard-of", None, 5])
    def test_key_without_a_policy_is_not_counted(self, recording: Any, name: Any) -> None:
        recording.recorder.keys.set_key_policies([TSA])
        recording.metrics.record_key_use(name)
        assert recording.value("trust.key.uses") == 0
        assert recording.dropped() == {}

    def test_unchanged_policy_keeps_its_uses_when_the_file_is_read_again(self, recording: Any, read: Read) -> None:
        content = "[key.a]\nmax_uses_per_hour = 1\n"
        for _ in range(2):
            recording.recorder.keys.set_key_policies(read(content))
            recording.metrics.record_key_use("a")
        assert recording.value("trust.key.uses", {"trust.key.use": "over_rate"}) == 1

    def test_all_objects_of_a_provider_have_the_same_policies(self, recording: Any) -> None:
        recording.recorder.keys.set_key_policies([KeyPolicy("a", "A 1", timezone.utc, max_uses_per_hour=1)])
        TrustServiceMetrics(recording.provider).record_key_use("a")
        assert recording.value("trust.key.uses") == 1


class TestApprovals:
    def test_are_counted_by_result(self, recording: Any) -> None:
        recording.metrics.record_key_approval("root-ca")
        for approval in ("denied", "expired"):
            recording.metrics.record_key_approval("root-ca", approval)
        assert {
            labels["trust.key.approval"]: point.value for labels, point in recording.series("trust.key.approvals")
        } == {"granted": 1, "denied": 1, "expired": 1}

    def test_other_results_are_0_from_the_first_request_on(self, recording: Any) -> None:
        recording.metrics.record_key_approval("root-ca")
        assert recording.value("trust.key.approvals", {"trust.key.approval": "denied"}) == 0
        assert len(recording.series("trust.key.approvals")) == 3

    def test_name_of_a_person_is_not_recorded(self, recording: Any) -> None:
        recording.metrics.record_key_approval("erika.mustermann@example.com")
        assert {labels["trust.key.name"] for labels in recording.labels("trust.key.approvals")} == {"_other"}
