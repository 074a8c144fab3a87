"""Keys in a hardware security module (PKCS#11)."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from threading import Lock
from typing import Any, cast

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.exceptions import (
    NoSuchKey,
    NoSuchToken,
    PinIncorrect,
    PinLocked,
    PKCS11Error,
)
from pkcs11.util.ec import encode_ec_public_key, encode_ecdsa_signature, encode_named_curve_parameters

from .settings import HsmSettings, InvalidSettingError
from .signatures import HsmUnavailableError, SigningKey


class HsmKey(SigningKey):
    """A P-256 key of a token, generated there if the token has none with its label.

    Raises:
        InvalidSettingError: The module, the token or the PIN is wrong.
        HsmUnavailableError: The HSM did not find or generate the key.
    """

    def __init__(self, settings: HsmSettings, label: str) -> None:
        self._settings = settings
        self._label = label
        # One session: python-pkcs11 initializes a module without locking, so only one thread may call it.
        self._lock = Lock()
        self._session: Any = None
        self._key: Any = None
        self._forked = False
        self._pin_refused = False
        os.register_at_fork(after_in_child=self._forget)
        # Two workers that start at the same time would generate two keys.
        with self._settings.pin_file.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._public_key = self._find_or_generate()

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    def sign(self, data: bytes, signature_algorithm: ec.ECDSA) -> bytes:
        """The signature in DER.

        Raises:
            HsmUnavailableError: The HSM did not sign. The next call opens a new session.
        """
        hashing = hashes.Hash(cast(hashes.HashAlgorithm, signature_algorithm.algorithm))
        hashing.update(data)
        digest = hashing.finalize()
        with self._lock:
            try:
                self._open()
                return bytes(encode_ecdsa_signature(self._key.sign(digest, mechanism=Mechanism.ECDSA)))
            except (PKCS11Error, InvalidSettingError) as error:
                self._close()
                raise HsmUnavailableError(type(error).__name__) from error

    def close(self) -> None:
        with self._lock:
            self._close()

    def _forget(self) -> None:
        # A forked process initializes the module again, and opens sessions of its own.
        self._lock, self._session, self._key, self._forked = Lock(), None, None, True

    def _find_or_generate(self) -> ec.EllipticCurvePublicKey:
        try:
            try:
                self._open()
            except NoSuchKey:
                self._generate()
                self._open()
            public = self._session.get_key(object_class=ObjectClass.PUBLIC_KEY, label=self._label)
            return cast(ec.EllipticCurvePublicKey, load_der_public_key(encode_ec_public_key(public)))
        except PKCS11Error as error:
            self._close()
            raise HsmUnavailableError(type(error).__name__) from error
        except InvalidSettingError:
            self._close()
            raise

    def _open(self) -> None:
        library = self._library()
        if self._forked:
            library.reinitialize()
            self._forked = False
        if self._session is None:
            self._session = self._log_in(library)
        if self._key is None:
            self._key = self._session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=self._label)

    def _library(self) -> Any:
        try:
            return pkcs11.lib(str(self._settings.module))
        except (PKCS11Error, RuntimeError) as error:
            raise InvalidSettingError(
                "TRUST_SERVICE_PKCS11_MODULE", str(self._settings.module), "set the path of a PKCS#11 module"
            ) from error

    def _log_in(self, library: Any) -> Any:
        # Another attempt with a wrong PIN would lock the token.
        if self._pin_refused:
            raise self._wrong_pin()
        try:
            token = library.get_token(token_label=self._settings.token)
        except NoSuchToken as error:
            raise InvalidSettingError(
                "TRUST_SERVICE_PKCS11_TOKEN", self._settings.token, "set the label of a token of the module"
            ) from error
        try:
            return token.open(rw=True, user_pin=self._settings.pin_file.read_text(encoding="utf-8").strip())
        except (PinIncorrect, PinLocked) as error:
            self._pin_refused = True
            raise self._wrong_pin() from error
        except OSError as error:
            raise InvalidSettingError(
                "TRUST_SERVICE_PKCS11_PIN_FILE", str(self._settings.pin_file), "let the service read the file"
            ) from error

    def _wrong_pin(self) -> InvalidSettingError:
        return InvalidSettingError(
            "TRUST_SERVICE_PKCS11_PIN_FILE",
            str(self._settings.pin_file),
            "the token refuses the PIN in this file: write the right one, and start the service again",
        )

    def _generate(self) -> None:
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        self._session.create_domain_parameters(KeyType.EC, curve, local=True).generate_keypair(
            label=self._label,
            store=True,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
        )

    def _close(self) -> None:
        session, self._session, self._key = self._session, None, None
        if session is not None:
            with suppress(PKCS11Error):
                session.close()
