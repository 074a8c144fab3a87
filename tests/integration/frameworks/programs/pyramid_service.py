"""A Pyramid application."""

from __future__ import annotations

from pyramid.config import Configurator
from pyramid.request import Request


def item(request: Request) -> dict[str, int]:
    return {"item": int(request.matchdict["number"])}


def fail(request: Request) -> dict[str, int]:
    raise RuntimeError("no item")


with Configurator() as configuration:
    configuration.add_route("item", r"/items/{number:\d+}")
    configuration.add_route("fail", "/fail")
    configuration.add_view(item, route_name="item", renderer="json")
    configuration.add_view(fail, route_name="fail", renderer="json")
    application = configuration.make_wsgi_app()
