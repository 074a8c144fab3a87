"""Settings from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


class InvalidSettingError(ValueError):
    """A setting that the service cannot start with."""

    def __init__(self, name: str, value: str, remedy: str) -> None:
        super().__init__(f"{name}={value!r}: {remedy}")


@dataclass(frozen=True)
class HsmSettings:
    """Settings of the HSM: path of its PKCS#11 module, label of the token, file with the PIN of its user."""

    module: Path
    token: str
    pin_file: Path


@dataclass(frozen=True)
class Settings:
    """Settings of the service.

    Attributes:
        database_url: SQLAlchemy URL with an async driver; None for a temporary SQLite file.
        grpc_address: Address on which gRPC listens.
        certificate_folder: Folder for the service's own certificates; None to keep them in memory.
        admin_token: Token of the admin API; None to disable it.
        time_server: `host:port` of the time server with which the clock is compared; None to trust the clock.
        hsm: The HSM with the key that signs documents; None for a key in software.
    """

    database_url: str | None
    grpc_address: str
    certificate_folder: Path | None
    admin_token: str | None
    time_server: str | None
    hsm: HsmSettings | None


def settings_from_environment() -> Settings:
    """Read the settings.

    Raises:
        InvalidSettingError: A setting of the HSM is missing, or names no file.
    """
    folder = os.environ.get("TRUST_SERVICE_CERTIFICATE_FOLDER")
    return Settings(
        database_url=os.environ.get("TRUST_SERVICE_DATABASE_URL") or None,
        grpc_address=os.environ.get("TRUST_SERVICE_GRPC_ADDRESS") or "127.0.0.1:50051",
        certificate_folder=Path(folder) if folder else None,
        admin_token=os.environ.get("TRUST_SERVICE_ADMIN_TOKEN") or None,
        time_server=os.environ.get("TRUST_SERVICE_TIME_SERVER") or None,
        hsm=_hsm(),
    )


def _hsm() -> HsmSettings | None:
    module = os.environ.get("TRUST_SERVICE_PKCS11_MODULE")
    if not module:
        return None
    token = os.environ.get("TRUST_SERVICE_PKCS11_TOKEN", "")
    if not token:
        raise InvalidSettingError("TRUST_SERVICE_PKCS11_TOKEN", token, "set the label of a token of the module")
    pin_file = os.environ.get("TRUST_SERVICE_PKCS11_PIN_FILE", "")
    _require_file("TRUST_SERVICE_PKCS11_MODULE", module, "set the path of a PKCS#11 module")
    _require_file("TRUST_SERVICE_PKCS11_PIN_FILE", pin_file, "set the path of a file with the PIN of the token")
    return HsmSettings(Path(module), token, Path(pin_file))


def _require_file(name: str, value: str, remedy: str) -> None:
    if not os.path.isfile(value) or not os.access(value, os.R_OK):
        raise InvalidSettingError(name, value, remedy)
