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

# A secret can have 1 MiB, and the size of a response is limited.
_PAGE: Final = 50
_MAX_PAGES: Final = 1000

_DENIED: Final = "give the pod's service account a Role with the verb `list` on `secrets` in {}"


class SecretSource:
    """The secrets of type `kubernetes.io/tls`. Only `tls.crt` is used.

    The API server also sends the keys, because it cannot return parts of a secret; they are discarded.

    Args:
        namespace: The namespace; empty for that of the pod.
        name: Prefix of the certificate names; by default the namespace.
        service_account: Folder with the token of the pod and the CA certificate of the API server.
    """

    def __init__(self, namespace: str, name: str | None, service_account: Path | None = None) -> None:
        self._namespace = namespace
        self._name = name
        self._account = service_account or SERVICE_ACCOUNT

    def read(self) -> list[Item]:
        """The current secrets."""
        namespace = self._namespace or self._file("namespace")
        return [_item(secret, self._name or namespace) for secret in self._secrets(namespace)]

    def _secrets(self, namespace: str) -> Iterator[Mapping[str, Any]]:
        address, context, headers = self._access()
        continue_token = ""
        for _ in range(_MAX_PAGES):
            query = {"fieldSelector": "type=kubernetes.io/tls", "limit": str(_PAGE)}
            url = f"{address}/api/v1/namespaces/{quote(namespace, safe='')}/secrets?" + urlencode(
                {**query, "continue": continue_token} if continue_token else query
            )
            page = _page(url, headers, context, namespace)
            yield from page["items"]
            continue_token = page["metadata"].get("continue") or ""
            if not continue_token:
                return
        raise UnreadableError(f"contains more than {_PAGE * _MAX_PAGES} TLS secrets")

    def _access(self) -> tuple[str, ssl.SSLContext, Mapping[str, str]]:
        host, port = (os.environ.get(f"KUBERNETES_SERVICE_{part}") for part in ("HOST", "PORT"))
        if not host:
            raise UnreadableError("not running in a pod: KUBERNETES_SERVICE_HOST is not set")
        try:
            context = ssl.create_default_context(cadata=self._file("ca.crt"))
        except ssl.SSLError:
            raise UnreadableError("the ca.crt of the service account is invalid") from None
        # Default since Python 3.13, but the CA certificates of many clusters lack required extensions.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        # Read for each request, because Kubernetes rotates it.
        headers = {"Authorization": f"Bearer {self._file('token')}", "Accept": "application/json"}
        return f"https://{shown_address(host, int(port or 443))}", context, headers

    def _file(self, name: str) -> str:
        try:
            return read_file(str(self._account / name), max_bytes=1024 * 1024).decode().strip()
        except (OSError, ValueError, UnreadableError) as error:
            raise UnreadableError(f"the {name} of the pod's service account: {os_reason(error)}") from None


def _page(url: str, headers: Mapping[str, str], context: ssl.SSLContext, namespace: str) -> Mapping[str, Any]:
    try:
        body, _ = fetch(url, headers=headers, context=context)
    except UnreadableError as error:
        if str(error).endswith((" 401", " 403")):
            raise UnreadableError(f"{error}: {_DENIED.format(namespace)}") from None
        raise
    try:
        page = json.loads(body)
        well_formed = isinstance(page["items"], list) and isinstance(page["metadata"], dict)
    except (ValueError, TypeError, KeyError, RecursionError):
        well_formed = False
    if not well_formed:
        raise UnreadableError("the response is not a list of secrets")
    return dict(page)


def _item(secret: Any, prefix: str) -> Item:
    try:
        name = str(secret["metadata"]["name"])
        data = base64.b64decode(secret["data"]["tls.crt"])
    except (TypeError, KeyError, binascii.Error, ValueError):
        raise UnreadableError("the response has a secret without name or tls.crt") from None
    content = parse(data)
    if content.empty and content.problem is None:
        content = Content(problem="its tls.crt contains no certificate")
    return Item(name, f"{prefix}/{name}", content)
