"""Measures the operations of an HSM that a service uses with python-pkcs11.

Keys get their methods from classes that are written in Python; those of sessions and tokens are compiled. Both are
patched when the service imports the module that defines them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from types import ModuleType
from typing import Any, Final

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from wrapt import register_post_import_hook

from trust_otel.instrumentation.pkcs11.errors import return_value
from trust_otel.instrumentation.pkcs11.tokens import Tokens
from trust_otel.metrics import recorder_of
from trust_otel.metrics.recorder import Recorder
from trust_otel.patches import Patches
from trust_otel.recording.fail_open import fail_open
from trust_otel.recording.instruments import Record

_MOST_KNOWN: Final = 100
"""Tokens and mechanisms of one operation whose series are kept."""

_SESSION_ENDED: Final = ("CKR_SESSION_HANDLE_INVALID", "CKR_SESSION_CLOSED")


class Pkcs11Instrumentor(BaseInstrumentor):  # type: ignore[misc]  # upstream's class is untyped
    """Measures operations, sessions and tokens, and counts the uses of keys that have a policy.

    `instrument(metrics=...)` takes the `TrustServiceMetrics` to record with; by default that of `get_metrics()`.
    """

    _entry_points: _Pkcs11Patches

    def instrumentation_dependencies(self) -> Collection[str]:
        """Supported versions of the library."""
        return ("python-pkcs11 >= 0.8",)

    def _instrument(self, **kwargs: Any) -> None:
        self._entry_points = _Pkcs11Patches(recorder_of(kwargs.get("metrics")))
        for module in _PATCHES:
            register_post_import_hook(self._entry_points.add, module)

    def _uninstrument(self, **kwargs: Any) -> None:
        self._entry_points.remove()


@dataclass(frozen=True)
class _EntryPoint:
    """A method that performs an operation.

    Attributes:
        owner: Name of the class.
        method: Name of the method.
        operation: Value of `trust.pkcs11.operation`.
        token: Returns the token from the object.
        defaults: Name of the default mechanisms by type of key in `pkcs11.defaults`; empty if there are none, `None` if
            the operation has no mechanism.
        position: Position of the mechanism among the arguments, with `self`; 0 if it is passed by keyword only.
        uses_key: Whether the object is a key that is used.
    """

    owner: str
    method: str
    operation: str
    token: Callable[[Any], Any]
    defaults: str | None = None
    position: int = 0
    uses_key: bool = False


class _Pkcs11Patches:
    """Patches the entry points when their modules are imported."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._dropped = recorder.instruments.dropped
        self._tokens = Tokens(recorder)
        self._patches = Patches()

    def add(self, module: ModuleType) -> None:
        """Patch the methods of a module, except those that this version of the library does not have."""
        for owner, method, wrap in _PATCHES[module.__name__](self):
            self._patches.replace_in(module, owner, method, wrap)

    def remove(self) -> None:
        """Restore every method."""
        self._patches.restore()

    def operations(self, entries: Collection[_EntryPoint]) -> Collection[_Patch]:
        """The patches that measure entry points."""
        return [(entry.owner, entry.method, partial(self._measured, entry)) for entry in entries]

    def loading(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The replacement of `pkcs11.lib`."""

        def lib(*args: Any, **kwargs: Any) -> Any:
            library = original(*args, **kwargs)
            with suppress(Exception):
                self._tokens.loaded(library.so)
            return library

        return lib

    def closing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The replacement of `Session.close`."""

        def close(*args: Any, **kwargs: Any) -> Any:
            try:
                result = original(*args, **kwargs)
            except Exception as error:
                if return_value(error) in _SESSION_ENDED:
                    self._tokens.closed(args[0])
                raise
            self._tokens.closed(args[0])
            return result

        return close

    def finalizing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The replacement of the methods that finalize a module."""

        def finalize(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            self._tokens.all_closed()
            return result

        return finalize

    def _measured(self, entry: _EntryPoint, original: Callable[..., Any]) -> Callable[..., Any]:
        pkcs11, keys, tokens = self._recorder.pkcs11, self._recorder.keys, self._tokens
        patches, add_active, operation, token_of = self._patches, pkcs11.add_active, entry.operation, entry.token
        # By token and mechanism; what is not in it, such as a default mechanism, takes a microsecond more.
        known: dict[tuple[str, object], Record] = {}

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                token = token_of(args[0]) if patches.active else None
            except Exception:  # wrong arguments, which fail below
                token = None
            if token is None:
                return original(*args, **kwargs)
            label = token.label
            add_active(1, operation, label)
            started = perf_counter()
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                self._end(perf_counter() - started, entry, token, args, kwargs, error=error)
                raise
            ended = perf_counter()
            mechanism = kwargs.get("mechanism")
            # Only what succeeded has a mechanism that can be looked up.
            done = type(result) is bytes or type(result) is bool
            record = known.get((label, mechanism)) if done and mechanism is not None else None
            if record is not None and ended < tokens.due_at and not keys.has_policies:
                add_active(-1, operation, label)
                record(ended - started)
            elif hasattr(result, "__next__"):
                # Nothing has happened yet.
                return self._steps(result, entry, token, args, kwargs)
            else:
                self._end(ended - started, entry, token, args, kwargs, result)
                if done and mechanism is not None and len(known) < _MOST_KNOWN:
                    known[label, mechanism] = pkcs11.bind_operation(operation, _mechanism(entry, args, kwargs), label)
            return result

        return call

    def _steps(
        self, items: Any, entry: _EntryPoint, token: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Generator[Any, Any, Any]:
        """The items, as they are; measures what making them takes, not what the service does between two of them."""
        seconds, failure = 0.0, None
        try:
            while True:
                started = perf_counter()
                try:
                    item = next(items)
                except StopIteration as stop:
                    return stop.value
                except BaseException as error:
                    failure = error
                    raise
                finally:
                    seconds += perf_counter() - started
                yield item
        finally:
            items.close()
            self._end(seconds, entry, token, args, kwargs, error=failure)

    @fail_open
    def _end(
        self,
        seconds: float,
        entry: _EntryPoint,
        token: Any,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: object = None,
        error: BaseException | None = None,
    ) -> None:
        label = token.label
        pkcs11 = self._recorder.pkcs11
        pkcs11.add_active(-1, entry.operation, label)
        failure = None if error is None else return_value(error)
        pkcs11.record_operation(seconds, entry.operation, _mechanism(entry, args, kwargs), label, failure)
        if error is not None:
            return
        if entry.operation == "open_session":
            self._tokens.opened(result)
        elif entry.uses_key:
            self._note_use(args[0])
        self._tokens.read_if_due(token)

    def _note_use(self, key: Any) -> None:
        keys = self._recorder.keys
        if not keys.has_policies or _is_public(key):
            return
        with suppress(Exception):  # a key without a label
            # Read once for each object; the token has just answered.
            keys.note_use(key.label)


def _is_public(key: Any) -> bool:
    from pkcs11.types import PublicKey

    return isinstance(key, PublicKey)


def _mechanism(entry: _EntryPoint, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """Name of the mechanism that an operation was called with, or of the default one."""
    if entry.defaults is None:
        return None
    given = kwargs.get("mechanism") or (args[entry.position] if 0 < entry.position < len(args) else None)
    if given is None:
        given = _default_mechanism(entry, args, kwargs)
    name = getattr(given, "name", None)
    # Historic names of the library begin with an underscore.
    return f"CKM_{name.lstrip('_')}" if isinstance(name, str) else None


def _default_mechanism(entry: _EntryPoint, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
    from pkcs11 import defaults

    if entry.owner == "Session":
        kind = kwargs.get("key_type") or (args[1] if len(args) > 1 else None)
    else:
        # Never read from the token here: the library has kept what it read, if it got that far.
        kind = vars(args[0]).get("key_type")
    return getattr(defaults, entry.defaults or "", {}).get(kind)


def _of_key(key: Any) -> Any:
    return key.session.token


def _of_session(session: Any) -> Any:
    return session.token


def _itself(token: Any) -> Any:
    return token


_Patch = tuple[str, str, Callable[[Callable[..., Any]], Callable[..., Any]]]

_SIGN: Final = "DEFAULT_SIGN_MECHANISMS"
_ENCRYPT: Final = "DEFAULT_ENCRYPT_MECHANISMS"
_WRAP: Final = "DEFAULT_WRAP_MECHANISMS"
_ENCAPSULATE: Final = "DEFAULT_ENCAPSULATE_MECHANISMS"
_GENERATE: Final = "DEFAULT_GENERATE_MECHANISMS"

_IN_PYTHON: Final = (
    _EntryPoint("SignMixin", "sign", "sign", _of_key, _SIGN, uses_key=True),
    _EntryPoint("VerifyMixin", "verify", "verify", _of_key, _SIGN),
    _EntryPoint("EncryptMixin", "encrypt", "encrypt", _of_key, _ENCRYPT, uses_key=True),
    _EntryPoint("DecryptMixin", "decrypt", "decrypt", _of_key, _ENCRYPT, uses_key=True),
    _EntryPoint("Session", "digest", "digest", _of_session, ""),
)

_COMPILED: Final = (
    _EntryPoint("WrapMixin", "wrap_key", "wrap", _of_key, _WRAP, 2, uses_key=True),
    _EntryPoint("UnwrapMixin", "unwrap_key", "unwrap", _of_key, _WRAP, 6, uses_key=True),
    _EntryPoint("DeriveMixin", "derive_key", "derive", _of_key, "DEFAULT_DERIVE_MECHANISMS", 7, uses_key=True),
    _EntryPoint("EncapsulateMixin", "encapsulate_key", "encapsulate", _of_key, _ENCAPSULATE, 7, uses_key=True),
    _EntryPoint("DecapsulateMixin", "decapsulate_key", "decapsulate", _of_key, _ENCAPSULATE, 8, uses_key=True),
    _EntryPoint("GenerateWithParametersMixin", "generate_keypair", "generate_key_pair", _of_key, _GENERATE, 5),
    # `Session.generate_keypair` calls one of these two.
    _EntryPoint("Session", "_generate_keypair", "generate_key_pair", _of_session, _GENERATE, 7),
    _EntryPoint("Session", "generate_key", "generate_key", _of_session, _GENERATE, 7),
    _EntryPoint("Session", "generate_random", "generate_random", _of_session),
    _EntryPoint("Session", "get_objects", "find_objects", _of_session),
    _EntryPoint("Token", "open", "open_session", _itself),
)

_PATCHES: Final[Mapping[str, Callable[[_Pkcs11Patches], Collection[_Patch]]]] = {
    "pkcs11": lambda patches: [("", "lib", patches.loading)],
    "pkcs11.types": lambda patches: patches.operations(_IN_PYTHON),
    "pkcs11._pkcs11": lambda patches: [
        *patches.operations(_COMPILED),
        ("Session", "close", patches.closing),
        *(("lib", method, patches.finalizing) for method in ("finalize", "reinitialize", "unload")),
    ],
}
"""What is patched, by module."""
