"""Requests that nobody should send: a service's series must not grow by them."""

from __future__ import annotations

import asyncio
import string
from collections import Counter
from random import Random
from urllib.parse import quote

import httpx

_CONCURRENCY = 32
_KNOWN_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE")
_KNOWN_PATHS = ("/login", "/me", "/documents", "/certificates", "/certificates/validate", "/audit", "/docs")
_KNOWN_FOLDERS = ("/documents/", "/certificates/", "/admin/", "/admin/accounts/", "/login/")
_LETTERS = string.ascii_letters + string.digits


async def hostile_requests(url: str, count: int, seed: int) -> Counter[int | str]:
    """Send random methods, paths, hosts and user agents; what came back: statuses, or names of errors."""
    chance = Random(seed)  # noqa: S311 (it need not surprise anybody)
    requests = iter([_request(chance) for _ in range(count)])
    answers: Counter[int | str] = Counter()
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:

        async def send_some() -> None:
            for method, path, headers in requests:
                try:
                    answer = await client.request(method, path, headers=headers)
                    answers[answer.status_code] += 1
                except httpx.TransportError as error:
                    answers[type(error).__name__] += 1

        await asyncio.gather(*(send_some() for _ in range(_CONCURRENCY)))
    return answers


def _request(chance: Random) -> tuple[str, str, dict[str, str]]:
    headers = {
        "host": f"{_word(chance)}.example",
        "user-agent": f"{_word(chance)}/{chance.random()}",
        "x-forwarded-for": ".".join(str(chance.randrange(256)) for _ in range(4)),
    }
    return _method(chance), _path(chance), headers


def _method(chance: Random) -> str:
    return _word(chance).upper() if chance.random() < 0.3 else chance.choice(_KNOWN_METHODS)


def _path(chance: Random) -> str:
    """A third each: where the service is, below it, and anywhere."""
    path = chance.choice((_known, _below, _anywhere))(chance)
    return f"{path}?{_word(chance)}={_word(chance)}"


def _known(chance: Random) -> str:
    return chance.choice(_KNOWN_PATHS)


def _below(chance: Random) -> str:
    return chance.choice(_KNOWN_FOLDERS) + _word(chance)


def _anywhere(chance: Random) -> str:
    words = [_word(chance) for _ in range(chance.randint(1, 4))]
    strange = quote("".join(chr(chance.randrange(32, 0x2FFF)) for _ in range(4)))
    return "/" + "/".join([*words, strange])


def _word(chance: Random) -> str:
    return "".join(chance.choices(_LETTERS, k=chance.randint(3, 12)))
