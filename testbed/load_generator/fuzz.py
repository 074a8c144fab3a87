"""Fuzzed requests, which must not create new series in the service."""

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
_KNOWN_PREFIXES = ("/documents/", "/certificates/", "/admin/", "/admin/accounts/", "/login/")
_LETTERS = string.ascii_letters + string.digits


async def send_fuzzed_requests(url: str, count: int, seed: int) -> Counter[int | str]:
    """Send random methods, paths, hosts and user agents; returns counts of statuses and error names."""
    rng = Random(seed)  # noqa: S311 (not for security)
    requests = iter([_request(rng) for _ in range(count)])
    responses: Counter[int | str] = Counter()
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:

        async def send_some() -> None:
            for method, path, headers in requests:
                try:
                    response = await client.request(method, path, headers=headers)
                    responses[response.status_code] += 1
                except httpx.TransportError as error:
                    responses[type(error).__name__] += 1

        await asyncio.gather(*(send_some() for _ in range(_CONCURRENCY)))
    return responses


def _request(rng: Random) -> tuple[str, str, dict[str, str]]:
    headers = {
        "host": f"{_word(rng)}.example",
        "user-agent": f"{_word(rng)}/{rng.random()}",
        "x-forwarded-for": ".".join(str(rng.randrange(256)) for _ in range(4)),
    }
    return _method(rng), _path(rng), headers


def _method(rng: Random) -> str:
    return _word(rng).upper() if rng.random() < 0.3 else rng.choice(_KNOWN_METHODS)


def _path(rng: Random) -> str:
    """One third each: a known path, a path below a known prefix, an unknown path."""
    path = rng.choice((_known_path, _path_below_known, _unknown_path))(rng)
    return f"{path}?{_word(rng)}={_word(rng)}"


def _known_path(rng: Random) -> str:
    return rng.choice(_KNOWN_PATHS)


def _path_below_known(rng: Random) -> str:
    return rng.choice(_KNOWN_PREFIXES) + _word(rng)


def _unknown_path(rng: Random) -> str:
    words = [_word(rng) for _ in range(rng.randint(1, 4))]
    strange = quote("".join(chr(rng.randrange(32, 0x2FFF)) for _ in range(4)))
    return "/" + "/".join([*words, strange])


def _word(rng: Random) -> str:
    return "".join(rng.choices(_LETTERS, k=rng.randint(3, 12)))
