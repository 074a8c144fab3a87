"""Sends requests with every HTTP client, to the port that is its argument, and waits for the end of its input."""

from __future__ import annotations

import asyncio
import sys
import urllib.error
import urllib.request
from contextlib import suppress

import aiohttp
import httpx
import requests
import urllib3

URL = f"http://127.0.0.1:{sys.argv[1]}"
PATHS = ("/ok/1", "/ok/2", "/none")


async def with_coroutines() -> None:
    async with httpx.AsyncClient() as client, aiohttp.ClientSession() as session:
        for path in PATHS:
            await client.get(URL + path)
            async with session.get(URL + path):
                pass


def main() -> None:
    pool = urllib3.PoolManager()
    for path in PATHS:
        requests.get(URL + path, timeout=10)
        httpx.get(URL + path)
        pool.request("GET", URL + path)
        with suppress(urllib.error.HTTPError):
            urllib.request.urlopen(URL + path, timeout=10).close()
    asyncio.run(with_coroutines())
    print("done", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
