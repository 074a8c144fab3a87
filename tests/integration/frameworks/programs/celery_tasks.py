"""Celery tasks; the broker is a folder."""

from __future__ import annotations

import os

from celery import Celery

_FOLDER = os.environ["BROKER_FOLDER"]

application = Celery("tasks", broker="filesystem://")
application.conf.broker_transport_options = {
    "data_folder_in": _FOLDER,
    "data_folder_out": _FOLDER,
    "processed_folder": _FOLDER,
    "control_folder": _FOLDER,
}


@application.task(name="documents.sign")
def sign(number: int) -> int:
    return number


@application.task(name="documents.fail")
def fail() -> None:
    raise RuntimeError("no document")


if __name__ == "__main__":
    for number in range(5):
        sign.delay(number)
    fail.delay()
    fail.delay()
