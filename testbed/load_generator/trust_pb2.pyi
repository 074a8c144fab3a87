from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ValidateRequest(_message.Message):
    __slots__ = ("certificate", "certificate_type")
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_TYPE_FIELD_NUMBER: _ClassVar[int]
    certificate: str
    certificate_type: str
    def __init__(self, certificate: _Optional[str] = ..., certificate_type: _Optional[str] = ...) -> None: ...

class ValidateResponse(_message.Message):
    __slots__ = ("valid", "reason")
    VALID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    valid: bool
    reason: str
    def __init__(self, valid: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class ValidateBatchResponse(_message.Message):
    __slots__ = ("valid", "invalid")
    class InvalidEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    VALID_FIELD_NUMBER: _ClassVar[int]
    INVALID_FIELD_NUMBER: _ClassVar[int]
    valid: int
    invalid: _containers.ScalarMap[str, int]
    def __init__(self, valid: _Optional[int] = ..., invalid: _Optional[_Mapping[str, int]] = ...) -> None: ...

class SignRequest(_message.Message):
    __slots__ = ("content", "algorithm")
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    algorithm: str
    def __init__(self, content: _Optional[bytes] = ..., algorithm: _Optional[str] = ...) -> None: ...

class SignResponse(_message.Message):
    __slots__ = ("signature", "certificate")
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    signature: bytes
    certificate: str
    def __init__(self, signature: _Optional[bytes] = ..., certificate: _Optional[str] = ...) -> None: ...

class ListCertificatesRequest(_message.Message):
    __slots__ = ("certificate_type", "limit")
    CERTIFICATE_TYPE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    certificate_type: str
    limit: int
    def __init__(self, certificate_type: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("serial_number", "certificate_type", "not_after", "revoked")
    SERIAL_NUMBER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_TYPE_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    serial_number: str
    certificate_type: str
    not_after: int
    revoked: bool
    def __init__(self, serial_number: _Optional[str] = ..., certificate_type: _Optional[str] = ..., not_after: _Optional[int] = ..., revoked: _Optional[bool] = ...) -> None: ...
