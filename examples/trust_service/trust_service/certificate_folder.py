"""Writes the service's own certificates to files, for monitoring."""

from __future__ import annotations

from pathlib import Path

from .authority import Authority, pem
from .signatures import Signer
from .timestamping import TimestampingAuthority


def publish(folder: Path, authority: Authority, signer: Signer, timestamping: TimestampingAuthority) -> None:
    """Write the certificates atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    certificates = {
        "root-ca": pem(authority.root),
        "issuing-ca": pem(authority.issuing),
        "ocsp-responder": pem(authority.responder),
        "document-signer": signer.pem,
        "timestamping": timestamping.pem,
    }
    for name, text in certificates.items():
        unfinished = folder / f".{name}.new"
        unfinished.write_text(text)
        unfinished.replace(folder / f"{name}.pem")
