"""A Flask application."""

from __future__ import annotations

from flask import Flask

application = Flask(__name__)


@application.get("/items/<int:number>")
def item(number: int) -> dict[str, int]:
    return {"item": number}


@application.get("/fail")
def fail() -> str:
    raise RuntimeError("no item")
