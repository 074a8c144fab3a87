"""A Falcon application."""

from __future__ import annotations

import falcon


class Item:
    def on_get(self, request: falcon.Request, response: falcon.Response, number: int) -> None:
        response.media = {"item": number}


class Fail:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        raise RuntimeError("no item")


application = falcon.App()
application.add_route("/items/{number:int}", Item())
application.add_route("/fail", Fail())
