"""An aiohttp server; its argument is the port."""

from __future__ import annotations

import sys

from aiohttp import web


async def item(request: web.Request) -> web.Response:
    return web.json_response({"item": int(request.match_info["number"])})


async def fail(request: web.Request) -> web.Response:
    raise RuntimeError("no item")


application = web.Application()
application.add_routes([web.get(r"/items/{number:\d+}", item), web.get("/fail", fail)])

if __name__ == "__main__":
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]))
