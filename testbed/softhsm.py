"""A token of SoftHSM in a folder; run as `python -m testbed.softhsm MODULE LABEL`, it initializes one."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trust_ops.stack.binaries import find
from trust_ops.stack.building import cache_folder, cached, usable
from trust_ops.stack.recipes import binaries

PIN: Final = "1234"
_SO_PIN: Final = "12345678"
_SLOT: Final = 0
_LABEL_LENGTH: Final = 32
_CONFIGURATION: Final = "softhsm2.conf"
MODULE_VARIABLE: Final = "PKCS11_MODULE"
"""Has the path of the module, for programs of the tests and the drill."""


SERVICE_LABEL: Final = "trust-service"
"""Label of the example service's token."""
_SERVICE_POLICIES: Final = """\
[key.document-signer]
hours = "00:00-24:00"
max_uses_per_hour = 1000000
"""


def service_settings(folder: Path) -> dict[str, str]:
    """Variables of an example service that signs with a key in SoftHSM; none where SoftHSM was not fetched.

    Args:
        folder: A folder for the token, which stays for the next start, its PIN, and the policy of the key.
    """
    softhsm_binary = binaries()["softhsm"]
    ready = cached(softhsm_binary, cache_folder(os.environ))
    if not usable(ready) and not os.environ.get(softhsm_binary.variable):
        return {}
    if not folder.exists():
        _new_service_token(folder)
    module = find(softhsm_binary, os.environ, print)
    pin_file, policies = folder / "pin", folder / "keys.toml"
    return {
        "SOFTHSM2_CONF": str(folder / _CONFIGURATION),
        "TRUST_SERVICE_PKCS11_MODULE": str(module),
        "TRUST_SERVICE_PKCS11_TOKEN": SERVICE_LABEL,
        "TRUST_SERVICE_PKCS11_PIN_FILE": str(pin_file),
        "TRUST_OTEL_KEY_POLICY_FILE": str(policies),
    }


def _new_service_token(folder: Path) -> None:
    # The folder gets its name last: one that exists is complete, also if a start was interrupted.
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    softhsm(unfinished, SERVICE_LABEL)
    (unfinished / "keys.toml").write_text(_SERVICE_POLICIES)
    pin_file = unfinished / "pin"
    pin_file.touch(mode=0o600)
    pin_file.write_text(PIN)
    (unfinished / _CONFIGURATION).write_text(_configuration(folder))
    unfinished.rename(folder)


def _configuration(folder: Path) -> str:
    return f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"


def softhsm(folder: Path, label: str, on_progress: Callable[[str], None] = print) -> dict[str, str]:
    """Variables of a process that uses a new token.

    Args:
        folder: An empty folder for the token and its configuration.
        label: Label of the token.
        on_progress: Called with each line about the installation of SoftHSM.

    Raises:
        BinaryUnavailable: SoftHSM is not installed and cannot be.
    """
    module = find(binaries()["softhsm"], os.environ, on_progress)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokens").mkdir()
    configuration = folder / _CONFIGURATION
    configuration.write_text(_configuration(folder))
    environment = {"SOFTHSM2_CONF": str(configuration)}
    # Not in this process: the module reads its configuration only once.
    subprocess.run(  # noqa: S603 - this file
        [sys.executable, "-m", __spec__.name, str(module), label],
        env={**os.environ, **environment},
        check=True,
        timeout=60,
    )
    return {**environment, MODULE_VARIABLE: str(module)}


def _initialize(path: str, label: str) -> None:
    # python-pkcs11 cannot do this first step (C_InitToken).
    module = ctypes.CDLL(path)
    name = label.encode().ljust(_LABEL_LENGTH)
    for result in (
        module.C_Initialize(None),
        module.C_InitToken(ctypes.c_ulong(_SLOT), _SO_PIN.encode(), ctypes.c_ulong(len(_SO_PIN)), name),
        module.C_Finalize(None),
    ):
        if result != 0:
            raise SystemExit(f"SoftHSM returns {result:#x}")

    import pkcs11

    token = pkcs11.lib(path).get_token(token_label=label)
    with token.open(rw=True, so_pin=_SO_PIN) as session:
        session.init_pin(PIN)


if __name__ == "__main__":
    _initialize(*sys.argv[1:])
