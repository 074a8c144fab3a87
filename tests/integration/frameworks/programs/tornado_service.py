"""A Tornado server; its argument is the port."""

from __future__ import annotations

import asyncio
import sys

from tornado.web import Application, RequestHandler


class Item(RequestHandler):
    def get(self, number: str) -> None:
        self.write({"item": int(number)})


class Fail(RequestHandler):
    def get(self) -> None:
        raise RuntimeError("no item")


async def main() -> None:
    Application([(r"/items/(\d+)", Item), (r"/fail", Fail)]).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
