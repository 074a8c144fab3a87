"""Return values of PKCS#11 from the exceptions of python-pkcs11."""

from __future__ import annotations

import pytest
from pkcs11 import exceptions

from trust_otel.instrumentation.pkcs11.errors import return_value


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (exceptions.DeviceError(), "CKR_DEVICE_ERROR"),
        (exceptions.SessionCount(), "CKR_SESSION_COUNT"),
        (exceptions.SlotIDInvalid(), "CKR_SLOT_ID_INVALID"),
        (exceptions.SessionReadWriteSOExists(), "CKR_SESSION_READ_WRITE_SO_EXISTS"),
        (exceptions.RandomNoRNG(), "CKR_RANDOM_NO_RNG"),
        (exceptions.TokenNotRecognised(), "CKR_TOKEN_NOT_RECOGNIZED"),
        (exceptions.FunctionCancelled(), "CKR_FUNCTION_CANCELED"),
        (exceptions.PKCS11Error("Unmapped error code 0x190"), "pkcs11.exceptions.PKCS11Error"),
        (exceptions.NoSuchKey(), "pkcs11.exceptions.NoSuchKey"),
        (ValueError(), "ValueError"),
    ],
)
def test_return_value(error: Exception, expected: str) -> None:
    assert return_value(error) == expected
