"""The database: SQLite's transactions, schema versions, retention and reconnection."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, text, update

from tests.unit.incidents.notifications import Clock, alert, payload
from trust_ops.incidents import database as module
from trust_ops.incidents.database import Database, DatabaseUnavailableError, DatabaseUrlError, SchemaTooNewError
from trust_ops.incidents.payload import parse
from trust_ops.incidents.store import Store
from trust_ops.incidents.tables import events, schema

Deliver = Callable[..., dict[str, int]]


def test_sqlite_is_set_up_to_lose_nothing(database: Database) -> None:
    with database.read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_the_file_is_private(store: Store, deliver: Deliver, tmp_path: Path) -> None:
    deliver(alert())
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("incidents.db*")} == {0o600}


def test_a_readable_file_is_made_private(tmp_path: Path) -> None:
    (tmp_path / "incidents.db").touch()
    (tmp_path / "incidents.db").chmod(0o666)
    database = Database(f"sqlite:///{tmp_path / 'incidents.db'}")
    Store(database).check()
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("incidents.db*")} == {0o600}
    database.close()


def test_its_directory_is_created(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a' / 'b' / 'incidents.db'}")
    Store(database).check()
    database.close()
    assert (tmp_path / "a" / "b" / "incidents.db").exists()
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


def test_a_newer_schema_is_rejected_and_not_changed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'incidents.db'}"
    newer = Database(url)
    with newer.write() as connection:
        connection.execute(update(schema).values(version=2))
    newer.close()
    older = Database(url)
    with pytest.raises(SchemaTooNewError, match="has schema version 2, this trust-otel supports 1: upgrade trust-otel"):
        Store(older).check()
    older.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "invalid URL"),
        ("mysql://user:secret-word@host/name", "unsupported database"),
        ("sqlite://", "in-memory database"),
        ("sqlite:///:memory:", "in-memory database"),
        ("postgresql://user:secret-word@host:port/name", "invalid URL"),
    ],
)
def test_an_invalid_url_is_rejected_without_its_password(url: str, said: str) -> None:
    with pytest.raises(DatabaseUrlError, match=said) as refused:
        Database(url)
    assert "secret-word" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_the_password_of_a_database_is_not_shown(scheme: str) -> None:
    database = Database(f"{scheme}://user:secret-word@host/name")
    # The same driver for every form of the URL.
    assert str(database) == "postgresql at host"
    database.close()


def test_a_transaction_that_fails_leaves_nothing(database: Database, store: Store) -> None:
    store.check()
    with pytest.raises(DatabaseUnavailableError), database.write() as connection:  # noqa: PT012 - the second statement fails
        connection.execute(insert(schema).values(version=7))
        connection.execute(text("SELECT nothing FROM nowhere"))
    with database.read() as connection:
        assert connection.execute(text(f"SELECT count(*) FROM {schema.name}")).scalar_one() == 1


def test_a_failure_names_no_value_of_a_row(database: Database, store: Store, deliver: Deliver) -> None:
    deliver(alert())
    with pytest.raises(DatabaseUnavailableError) as failed, database.write() as connection:
        connection.execute(insert(events).values(incident_id=99, at=None, kind="note", text="192.0.2.7 secret-word"))
    assert "NOT NULL constraint failed" in str(failed.value.__cause__)
    assert "secret-word" not in f"{failed.value} {failed.value.__cause__}"


def test_waiting_too_long_for_another_writer_fails_and_succeeds_later(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.2)
    database = Database(f"sqlite:///{tmp_path / 'incidents.db'}")
    store = Store(database, clock)
    store.deliver(parse(payload(alert())))
    other = sqlite3.connect(tmp_path / "incidents.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailableError, match="database is locked"):
        store.deliver(parse(payload(alert(fingerprint="b2"))))
    # Readers do not wait.
    assert store.incident(1)[0].id == 1
    other.execute("ROLLBACK")
    other.close()
    assert store.deliver(parse(payload(alert(fingerprint="b2")))) == {"opened": 1}
    database.close()


def test_writers_at_the_same_time_take_turns(database: Database, clock: Clock) -> None:
    def deliver(sender: int) -> None:
        for number in range(10):
            Store(database, clock).deliver(parse(payload(alert(fingerprint=f"{number}"), receiver=str(sender))))

    senders = [threading.Thread(target=deliver, args=(sender,)) for sender in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    found, more = Store(database, clock).incidents(only_open=True, limit=100)
    assert (len(found), more) == (10, 0)
    _, timeline = Store(database, clock).incident(found[0].id)
    assert sorted(event.kind for event in timeline) == ["notified"] * 3 + ["opened"]


def test_a_database_that_becomes_available_later_is_used(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "disk"
    folder.write_text("not mounted yet")
    database = Database(f"sqlite:///{folder / 'incidents.db'}")
    store = Store(database, clock)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailableError):
            store.deliver(parse(payload(alert())))
    folder.unlink()
    assert store.deliver(parse(payload(alert()))) == {"opened": 1}
    database.close()


def test_missing_tables_are_created_again(database: Database, store: Store, deliver: Deliver) -> None:
    deliver(alert())
    with database.write() as connection:
        for table in ("trust_incident_events", "trust_incident_notifications", "trust_incidents", schema.name):
            connection.exec_driver_sql(f"DROP TABLE {table}")
    with pytest.raises(DatabaseUnavailableError):
        deliver(alert())
    assert deliver(alert()) == {"opened": 1}


def test_a_deleted_or_replaced_file_is_reopened(
    store: Store, deliver: Deliver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deliver(alert())
    for file in tmp_path.glob("incidents.db*"):
        file.unlink()
    assert deliver(alert()) == {"opened": 1}
    assert "was deleted or replaced" in caplog.text
    with sqlite3.connect(tmp_path / "incidents.db") as other:
        assert other.execute("SELECT count(*) FROM trust_incidents").fetchone() == (1,)
    other.close()


def test_a_read_only_database_fails_the_check(
    database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.check()
    with database.read() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(DatabaseUnavailableError, match="readonly database") as failed:
        store.check()
    assert failed.value.reason == "OperationalError: attempt to write a readonly database"


@pytest.mark.parametrize("missing", ["trust_incidents_heartbeat", "trust_incident_page_acknowledgements"])
def test_a_database_of_a_release_without_a_table_gets_it(
    database: Database, store: Store, tmp_path: Path, missing: str
) -> None:
    store.check()
    with database.write() as connection:
        connection.exec_driver_sql(f"DROP TABLE {missing}")
    again = Database(f"sqlite:///{tmp_path / 'incidents.db'}")
    for _ in range(2):
        Store(again).check()
    with again.read() as connection:
        connection.execute(text(f"SELECT * FROM {missing}"))
        assert connection.execute(text(f"SELECT count(*) FROM {schema.name}")).scalar_one() == 1
    again.close()


def test_old_resolved_incidents_are_deleted_with_their_events(
    database: Database, store: Store, clock: Clock, deliver: Deliver
) -> None:
    deliver(alert(fingerprint="old"), alert(fingerprint="open"))
    deliver(alert(fingerprint="old", ends_at=clock.now))
    clock.forward(days=400, seconds=1)
    deliver(alert(fingerprint="new", ends_at=clock.now))
    assert store.delete_resolved(timedelta(days=400)) == 1
    found, _ = store.incidents(only_open=False, limit=10)
    assert {one.fingerprint for one in found} == {"open", "new"}
    with database.read() as connection:
        left = connection.execute(text(f"SELECT count(*) FROM {events.name} WHERE incident_id = 1")).scalar_one()
        assert left == 0


def test_ids_of_deleted_incidents_are_not_reused(store: Store, clock: Clock, deliver: Deliver) -> None:
    deliver(alert(ends_at=clock.now))
    clock.forward(days=2)
    assert store.delete_resolved(timedelta(days=1)) == 1
    deliver(alert(starts_at=clock.now))
    assert store.incidents(only_open=True, limit=1)[0][0].id == 2
