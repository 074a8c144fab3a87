"""The unit tests of notifications, polling and acknowledgements, run on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from tests.support.postgresql import cluster, needs_postgresql
from tests.unit.incidents import test_acknowledgement, test_notifications, test_reconcile
from tests.unit.incidents.conftest import clock, deliver, store
from tests.unit.incidents.notifications import Clock, alert, payload
from trust_ops.incidents.database import Database
from trust_ops.incidents.payload import parse
from trust_ops.incidents.store import Store

__all__ = ["clock", "deliver", "store"]

pytestmark = needs_postgresql

_ELSEWHERE = {"test_incidents_survive_a_restart"}

for _module in (test_acknowledgement, test_notifications, test_reconcile):
    globals().update(
        {
            name: value
            for name, value in vars(_module).items()
            if name not in _ELSEWHERE
            and (name.startswith("test_") or name in ("answers", "alertmanager", "acknowledgements", "poller"))
        }
    )


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with cluster() as running:
        yield f"postgresql+psycopg://trust@127.0.0.1:{running.port}/postgres"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    made = Database(url)
    yield made
    made.close()


def test_two_receivers_on_one_database_record_each_alert_once(database: Database, url: str, clock: Clock) -> None:
    other = Database(url)
    alerts = [alert(fingerprint=f"{number}") for number in range(200)]
    failures: list[Exception] = []

    def run(where: Database, order: int) -> None:
        try:
            for start in range(0, 200, 20):
                part = alerts[start : start + 20][::order]
                Store(where, clock).deliver(parse(payload(*part)))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=arguments) for arguments in ((database, 1), (other, -1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert failures == []
    found, more = Store(database, clock).incidents(only_open=True, limit=1000)
    assert (len(found), len({one.fingerprint for one in found}), more) == (200, 200, 0)
