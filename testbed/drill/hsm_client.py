"""An instance of a service that signs with an HSM, and exits when its standard input is closed.

Run as `python -m testbed.drill.hsm_client FAULT TOKEN`. The HSM is SoftHSM; faults are injected below what is measured.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any, Final

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism
from pkcs11.exceptions import DeviceError, PKCS11Error, SessionCount
from pkcs11.util.ec import encode_named_curve_parameters

from testbed.softhsm import MODULE_VARIABLE, PIN
from trust_otel.instrumentation.pkcs11 import tokens
from trust_otel.instrumentation.pkcs11.module import Module, TokenInfo

KEY: Final = "drill-key"
_PAUSE_SECONDS: Final = 0.2
_SLOW_SECONDS: Final = 2.0
_SESSIONS: Final = 10


def main(fault: str, label: str) -> None:
    """Sign again and again, with a fault: `broken`, `slow`, `refused` or `full` (sessions), or `none`."""
    if fault == "full":
        vars(tokens)["Module"] = _LimitedModule
    token = pkcs11.lib(os.environ[MODULE_VARIABLE]).get_token(token_label=label)
    with token.open(rw=True, user_pin=PIN) as session:
        others = [token.open() for _ in range(_SESSIONS - 1)] if fault == "full" else []
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        parameters: Any = session.create_domain_parameters(KeyType.EC, curve, local=True)
        _, key = parameters.generate_keypair(label=KEY)
        _inject(key, fault)
        ended = threading.Event()
        threading.Thread(target=_await_end, args=(ended,), daemon=True).start()
        while not ended.wait(_PAUSE_SECONDS):
            with suppress(PKCS11Error):
                key.sign(b"x" * 32, mechanism=Mechanism.ECDSA)
        for other in others:
            other.close()


class _LimitedModule(Module):
    """SoftHSM has no limit."""

    def token(self, slot_id: int) -> TokenInfo:
        return TokenInfo(_SESSIONS, {})


def _await_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _inject(key: Any, fault: str) -> None:
    sign = key._sign

    def faulty(*args: Any, **kwargs: Any) -> Any:
        if fault == "broken":
            raise DeviceError
        if fault == "refused":
            raise SessionCount
        if fault == "slow":
            time.sleep(_SLOW_SECONDS)
        return sign(*args, **kwargs)

    key._sign = faulty


if __name__ == "__main__":
    main(*sys.argv[1:])
