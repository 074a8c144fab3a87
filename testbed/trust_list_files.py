"""Lists of trust anchors in files, as a service reads them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from testbed.trust_lists import Signer, master_list, new_signer, trusted_list, vical

TRUSTED_LIST, MASTER_LIST, VICAL = "eu", "csca", "us"

_PERIOD: Final = timedelta(days=180)


class TrustListFiles:
    """A trusted list, a master list and a VICAL with one signer; valid until a fault publishes others.

    Args:
        folder: Where the files are.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._signer = new_signer()
        self._anchors = [new_signer(f"Trust service {number}").certificate for number in range(3)]
        (folder / "signers.pem").write_bytes(self._signer.pem)
        for name in (TRUSTED_LIST, MASTER_LIST, VICAL):
            self.publish(name)

    def settings(self) -> dict[str, str]:
        """The settings of a service that reads them."""
        types = {TRUSTED_LIST: "etsi", MASTER_LIST: "icao", VICAL: "vical"}
        return {
            "TRUST_OTEL_TRUST_LISTS": ",".join(f"{name}={kind}+{self._folder / name}" for name, kind in types.items()),
            "TRUST_OTEL_TRUST_LIST_SIGNERS": ",".join(f"{name}={self._folder / 'signers.pem'}" for name in types),
            "TRUST_OTEL_TRUST_LIST_INTERVAL": "2",
        }

    def publish(self, name: str, *, age: timedelta = timedelta(days=30), signer: Signer | None = None) -> None:
        """Replace a list by one that was issued some time ago, for 180 days.

        Args:
            name: `TRUSTED_LIST`, `MASTER_LIST` or `VICAL`.
            age: Time since it was issued.
            signer: Its signer; by default the one that the service accepts.
        """
        signed_by = signer or self._signer
        issued = datetime.now(timezone.utc) - age
        if name == MASTER_LIST:
            data = master_list(signed_by, self._anchors, issued=issued)
        else:
            make = trusted_list if name == TRUSTED_LIST else vical
            data = make(signed_by, self._anchors, issued=issued, next_update=issued + _PERIOD)
        unfinished = self._folder / f".{name}.new"
        unfinished.write_bytes(data)
        unfinished.replace(self._folder / name)
