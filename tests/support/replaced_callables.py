"""The callables of other libraries that the instrumentors replace."""

import inspect
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fastapi.routing
import grpc
import grpc.aio
import pkcs11
import pkcs11.types
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509 import ocsp, verification
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pkcs11 import _pkcs11
from sqlalchemy.engine import Engine, Transaction
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, Router


def _modules(function: Any) -> tuple[Any, Any]:
    """The public module of a function of `grpc.aio`, and the module that defines it."""
    return grpc.aio, sys.modules[function.__module__]


_COMPILED = {
    "WrapMixin": ("wrap_key",),
    "UnwrapMixin": ("unwrap_key",),
    "DeriveMixin": ("derive_key",),
    "EncapsulateMixin": ("encapsulate_key",),
    "DecapsulateMixin": ("decapsulate_key",),
    "GenerateWithParametersMixin": ("generate_keypair",),
    "Session": ("_generate_keypair", "generate_key", "generate_random", "get_objects", "close"),
    "Token": ("open",),
    "lib": ("finalize", "reinitialize", "unload"),
}

REPLACED: list[tuple[Any, str]] = [
    (Starlette, "__call__"),
    (Router, "__call__"),
    (BaseRoute, "__call__"),
    (StreamingResponse, "__call__"),
    (Route, "__init__"),
    (Mount, "__init__"),
    (Router, "__init__"),
    (Route, "handle"),
    (Mount, "handle"),
    *(
        (kind, "handle")
        for name, kind in vars(fastapi.routing).items()
        if name.startswith("_Frontend") and "handle" in vars(kind)
    ),
    *([(APIRoute, "handle")] if "handle" in vars(APIRoute) else []),
    *([(FastAPI, "setup")] if "telemetry" in inspect.signature(FastAPI.__init__).parameters else []),
    (grpc, "server"),
    (grpc, "insecure_channel"),
    (grpc, "secure_channel"),
    *((module, "server") for module in _modules(grpc.aio.server)),
    *((module, "insecure_channel") for module in _modules(grpc.aio.insecure_channel)),
    *((module, "secure_channel") for module in _modules(grpc.aio.secure_channel)),
    (Engine, "raw_connection"),
    (Transaction, "commit"),
    (Transaction, "rollback"),
    (Transaction, "close"),
    (ThreadPoolExecutor, "__init__"),
    (ThreadPoolExecutor, "submit"),
    (ThreadPoolExecutor, "shutdown"),
    (x509.CertificateBuilder, "sign"),
    (x509.CertificateSigningRequestBuilder, "sign"),
    (x509.CertificateRevocationListBuilder, "sign"),
    (x509.Certificate, "verify_directly_issued_by"),
    (ocsp.OCSPResponseBuilder, "sign"),
    (verification.ServerVerifier, "verify"),
    (verification.ClientVerifier, "verify"),
    (pkcs7.PKCS7SignatureBuilder, "sign"),
    (pkcs11, "lib"),
    (pkcs11.types.SignMixin, "sign"),
    (pkcs11.types.VerifyMixin, "verify"),
    (pkcs11.types.EncryptMixin, "encrypt"),
    (pkcs11.types.DecryptMixin, "decrypt"),
    (pkcs11.types.Session, "digest"),
    *(
        (getattr(_pkcs11, owner), method)
        for owner, methods in _COMPILED.items()
        for method in methods
        if method in vars(getattr(_pkcs11, owner, object))
    ),
]
"""Owner and name of each."""


def replacement_name(owner: Any, name: str) -> str:
    """The dotted path of a replaced callable."""
    return f"{owner.__module__}.{owner.__qualname__}.{name}" if inspect.isclass(owner) else f"{owner.__name__}.{name}"
