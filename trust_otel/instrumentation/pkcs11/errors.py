"""The return value of PKCS#11 behind an exception of python-pkcs11."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from trust_otel.metrics.operation import error_type

_MODULE: Final = "pkcs11.exceptions."
_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# Spelled otherwise in the specification.
_RETURN_VALUES: Final = {
    "AnotherUserAlreadyLoggedIn": "CKR_USER_ANOTHER_ALREADY_LOGGED_IN",
    "FunctionCancelled": "CKR_FUNCTION_CANCELED",
    "TokenNotRecognised": "CKR_TOKEN_NOT_RECOGNIZED",
}
_NOT_RETURNED: Final = frozenset(
    # The base class stands for return values that python-pkcs11 does not know; it raises the others itself.
    {"PKCS11Error", "MultipleObjectsReturned", "MultipleTokensReturned", "NoSuchKey", "NoSuchToken"}
)


def return_value(error: BaseException) -> str:
    """Value of `error.type`: the return value, such as `CKR_DEVICE_ERROR`, or the class of another exception."""
    return named(error_type(error))


@lru_cache(maxsize=256)
def named(kind: str) -> str:
    """The return value for the path of an exception class; other paths unchanged."""
    name = kind.removeprefix(_MODULE)
    if name == kind or name in _NOT_RETURNED:
        return kind
    return _RETURN_VALUES.get(name) or f"CKR_{_WORD_START.sub('_', name).upper()}"
