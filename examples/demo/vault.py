"""A fake Vault with the health, seal and unseal endpoints of Vault's HTTP API.

Source: HashiCorp Vault, HTTP API, /sys/health, /sys/seal and /sys/unseal.
"""

from __future__ import annotations

import hmac
from os import environ

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_SEALED, _ACTIVE = 503, 200


class Vault:
    """An initialized single-node Vault; VAULT_TOKEN is both its unseal key and its token."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._sealed = False

    async def health(self, _request: Request) -> Response:
        status = _SEALED if self._sealed else _ACTIVE
        return JSONResponse({"initialized": True, "sealed": self._sealed, "standby": self._sealed}, status)

    async def seal(self, request: Request) -> Response:
        if not self._matches(request.headers.get("x-vault-token", "")):
            return JSONResponse({"errors": ["permission denied"]}, 403)
        self._sealed = True
        return Response(status_code=204)

    async def unseal(self, request: Request) -> Response:
        try:
            key = str((await request.json())["key"])
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"errors": ["'key' must be specified in request body as JSON"]}, 400)
        if not self._matches(key):
            return JSONResponse({"errors": ["invalid key"]}, 400)
        self._sealed = False
        return JSONResponse({"sealed": False, "t": 1, "n": 1, "progress": 0})

    def _matches(self, secret: str) -> bool:
        return hmac.compare_digest(secret.encode(), self._token.encode())


def create_app() -> Starlette:
    """The application; `uvicorn --factory examples.demo.vault:create_app`."""
    vault = Vault(environ["VAULT_TOKEN"])
    return Starlette(
        routes=[
            Route("/v1/sys/health", vault.health, methods=["GET", "HEAD"]),
            Route("/v1/sys/seal", vault.seal, methods=["PUT", "POST"]),
            Route("/v1/sys/unseal", vault.unseal, methods=["PUT", "POST"]),
        ]
    )
