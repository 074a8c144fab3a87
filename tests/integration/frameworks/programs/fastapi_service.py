"""A FastAPI application, whose labels are those of the others."""

from __future__ import annotations

from fastapi import FastAPI

application = FastAPI()


@application.get("/items/{number:int}")
def item(number: int) -> dict[str, int]:
    return {"item": number}


@application.get("/fail")
def fail() -> str:
    raise RuntimeError("no item")
