"""Certificates in the TLS secrets of a Kubernetes namespace."""

from __future__ import annotations

import base64
import binascii
import json
import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from trust_otel.monitors.certificates.content import Content, Item, UnreadableError
from trust_otel.monitors.certificates.fetch import fetch
from trust_otel.monitors.certificates.files import os_reason, read_file
from trust_otel.monitors.certificates.formats import parse
from trust_otel.monitors.certificates.names import shown_address

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")

# A secret may have 1 MiB, and a page has its bound too.
_PAGE: Final = 50
_MOST_PAGES: Final = 1000

_DENIED: Final = (
    "does not let us list secrets: give the pod's service account a Role with the verb `list` on `secrets` in {}"
)


class SecretSource:
    """The secrets of the type `kubernetes.io/tls`; of them only `tls.crt` is used, and nothing else is kept.

    The API server sends the keys as well, since it cannot list a part of a secret.

    Args:
        namespace: Where they are; empty for the pod's own.
        name: Begin of the certificates' names, in place of the namespace.
        service_account: Folder where Kubernetes puts the pod's token and the API server's authority.
    """

    def __init__(self, namespace: str, name: str | None, service_account: Path | None = None) -> None:
        self._namespace = namespace
        self._name = name
        self._account = service_account or SERVICE_ACCOUNT

    def read(self) -> list[Item]:
        """Every secret that is there now."""
        namespace = self._namespace or self._file("namespace")
        return [_item(secret, self._name or namespace) for secret in self._secrets(namespace)]

    def _secrets(self, namespace: str) -> Iterator[Mapping[str, Any]]:
        address, context, headers = self._access()
        proceed = ""
        for _ in range(_MOST_PAGES):
            query = {"fieldSelector": "type=kubernetes.io/tls", "limit": str(_PAGE)}
            url = f"{address}/api/v1/namespaces/{quote(namespace, safe='')}/secrets?" + urlencode(
                {**query, "continue": proceed} if proceed else query
            )
            page = _page(url, headers, context, namespace)
            yield from page["items"]
            proceed = page["metadata"].get("continue") or ""
            if not proceed:
                return
        raise UnreadableError(f"has more than {_PAGE * _MOST_PAGES} TLS secrets")

    def _access(self) -> tuple[str, ssl.SSLContext, Mapping[str, str]]:
        host, port = (os.environ.get(f"KUBERNETES_SERVICE_{part}") for part in ("HOST", "PORT"))
        if not host:
            raise UnreadableError("this is no pod: KUBERNETES_SERVICE_HOST is not set")
        try:
            context = ssl.create_default_context(cadata=self._file("ca.crt"))
        except ssl.SSLError:
            raise UnreadableError("the ca.crt of the service account is broken") from None
        # On by default from Python 3.13 on; the authorities of many clusters lack extensions that it wants.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        # Read each time, because Kubernetes replaces it.
        headers = {"Authorization": f"Bearer {self._file('token')}", "Accept": "application/json"}
        return f"https://{shown_address(host, int(port or 443))}", context, headers

    def _file(self, name: str) -> str:
        try:
            return read_file(str(self._account / name), most=1024 * 1024).decode().strip()
        except (OSError, ValueError, UnreadableError) as error:
            raise UnreadableError(f"the {name} of the pod's service account: {os_reason(error)}") from None


def _page(url: str, headers: Mapping[str, str], context: ssl.SSLContext, namespace: str) -> Mapping[str, Any]:
    try:
        answer, _ = fetch(url, headers=headers, context=context)
    except UnreadableError as error:
        if str(error).endswith((" 401", " 403")):
            raise UnreadableError(f"{error}: it {_DENIED.format(namespace)}") from None
        raise
    try:
        page = json.loads(answer)
        well_formed = isinstance(page["items"], list) and isinstance(page["metadata"], dict)
    except (ValueError, TypeError, KeyError, RecursionError):
        well_formed = False
    if not well_formed:
        raise UnreadableError("answers with something else than a list of secrets")
    return dict(page)


def _item(secret: Any, prefix: str) -> Item:
    try:
        name = str(secret["metadata"]["name"])
        data = base64.b64decode(secret["data"]["tls.crt"])
    except (TypeError, KeyError, binascii.Error, ValueError):
        raise UnreadableError("answers with a secret without name or tls.crt") from None
    content = parse(data)
    if content.empty and content.problem is None:
        content = Content(problem="its tls.crt holds no certificate")
    return Item(name, f"{prefix}/{name}", content)
