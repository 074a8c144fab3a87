"""The client of Alertmanager's API: failures, clusters, and parsing of responses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import httpx
import pytest

from tests.unit.incidents.alertmanagers import Answers, api_alert, api_silence
from tests.unit.incidents.notifications import NIGHT
from trust_ops.incidents.alertmanager import Alertmanager, AlertmanagerError, AlertmanagerUrlError


def cluster(members: Mapping[str, Answers]) -> Alertmanager:
    return Alertmanager(
        [f"http://user:secret-word@{name}:9093/prefix/" for name in members],
        httpx.MockTransport(lambda request: members[request.url.host](request)),
    )


def test_a_silence_has_every_label_of_the_alert() -> None:
    one = Answers()
    until = NIGHT + timedelta(hours=2)
    name = cluster({"one": one}).silence({"b": "2", "a": '1"'}, "ann", "why", NIGHT, until)
    assert (name, one.asked) == ("s1", ["POST /prefix/api/v2/silences"])
    assert one.posted == [
        {
            "matchers": [
                {"name": "a", "value": '1"', "isRegex": False, "isEqual": True},
                {"name": "b", "value": "2", "isRegex": False, "isEqual": True},
            ],
            "startsAt": "2026-11-25T03:00:00Z",
            "endsAt": "2026-11-25T05:00:00Z",
            "createdBy": "ann",
            "comment": "why",
        }
    ]


def test_active_alerts_come_with_their_silences() -> None:
    # s2 expired between the two requests.
    one = Answers([api_alert("a1", "s1", "s2", "gone"), api_alert("b2")], [api_silence(), api_silence("s2", "expired")])
    view = cluster({"one": one}).active_alerts()
    assert [silence.id for silence in view["a1"].silences] == ["s1"]
    assert (view["a1"].silences[0].created_by, view["a1"].alert.starts_at) == ("ann", NIGHT)
    assert view["b2"].silences == ()


def test_an_unreachable_member_is_skipped() -> None:
    members = {"one": Answers(away=True), "two": Answers([api_alert()])}
    assert list(cluster(members).active_alerts()) == ["a1"]
    assert cluster(members).silence({"a": "1"}, "ann", "", NIGHT, NIGHT + timedelta(hours=1)) == "s1"


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_alerts_of_all_members_are_merged_with_the_earliest_start(order: tuple[str, str]) -> None:
    members = {
        "one": Answers([api_alert("a1", "s1", starts_at="2026-11-25T03:00:30Z"), api_alert("b2")], [api_silence()]),
        "two": Answers([api_alert("a1", "s2"), api_alert("c3")], [api_silence("s2")]),
    }
    view = cluster({name: members[name] for name in order}).active_alerts()
    assert sorted(view) == ["a1", "b2", "c3"]
    assert view["a1"].alert.starts_at == NIGHT
    assert {silence.id for silence in view["a1"].silences} == {"s1", "s2"}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (Answers(away=True), "Alertmanager at http://one:9093 cannot be reached: connection refused"),
        (Answers(status=400), "Alertmanager at http://one:9093 responded with 400: it says why"),
        (Answers([{"fingerprint": "a1"}]), "is not that of Alertmanager's API"),
        (Answers({"message": "no"}), "is not that of Alertmanager's API"),
    ],
)
def test_failures_name_the_member_and_no_password(answers: Answers, said: str) -> None:
    with pytest.raises(AlertmanagerError) as failed:
        cluster({"one": answers}).active_alerts()
    assert said in str(failed.value)
    assert "secret-word" not in str(failed.value)


def test_all_members_that_failed_are_named() -> None:
    with pytest.raises(AlertmanagerError, match=r"one:9093.*; .*two:9093"):
        cluster({"one": Answers(away=True), "two": Answers(status=500)}).expire("s1")


def test_expiring_an_unknown_silence_succeeds() -> None:
    cluster({"one": Answers(status=404)}).expire("s1")


@pytest.mark.parametrize("url", ["alertmanager:9093", "ftp://host", "http://", "http://host:port", ""])
def test_invalid_urls_are_rejected(url: str) -> None:
    with pytest.raises(AlertmanagerUrlError, match="use URLs such as http://alertmanager:9093"):
        Alertmanager([url])
