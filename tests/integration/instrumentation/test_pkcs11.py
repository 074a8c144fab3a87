"""Operations of an HSM that python-pkcs11 calls, with a token of SoftHSM."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from testbed.softhsm import PIN
from tests.support.softhsm import TOKEN, new_token
from trust_otel.instrumentation.pkcs11 import Pkcs11Instrumentor, tokens
from trust_otel.metrics.key_policy import KeyPolicy, read_key_policies

Launched = Callable[..., "subprocess.CompletedProcess[str]"]

# Its stubs lack the classes.
_COMPILED: Any = import_module("pkcs11._pkcs11")

_ROOT = Path(__file__).parents[3]

DURATION = "trust.pkcs11.operation.duration"
ACTIVE = "trust.pkcs11.operation.active"
SESSIONS = "trust.pkcs11.session.count"


@pytest.fixture
def measured(recording: Any, softhsm_module: str) -> Iterator[Any]:
    """The recording, and a library that is loaded while it records."""
    instrumentor = Pkcs11Instrumentor()
    instrumentor.instrument(metrics=recording.metrics)
    yield recording
    instrumentor.uninstrument()


@pytest.fixture
def token(measured: Any, softhsm_module: str) -> Any:
    return pkcs11.lib(softhsm_module).get_token(token_label=TOKEN)


@pytest.fixture
def session(token: Any) -> Iterator[Any]:
    with token.open(rw=True, user_pin=PIN) as session:
        yield session


@pytest.fixture
def keys(session: Any) -> tuple[Any, Any]:
    return _key_pair(session)


def _key_pair(session: Any, label: str = "signing") -> tuple[Any, Any]:
    curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
    pair: tuple[Any, Any] = parameters.generate_keypair(label=label)
    return pair


def _counts(recording: Any, operation: str) -> dict[tuple[str | None, str | None], int]:
    """Number of operations by mechanism and error."""
    return {
        (labels.get("trust.pkcs11.mechanism"), labels.get("error.type")): point.count
        for labels, point in recording.series(DURATION, {"trust.pkcs11.operation": operation})
    }


class TestOperations:
    def test_signatures_are_measured_by_mechanism(self, measured: Any, session: Any, keys: Any) -> None:
        public, private = keys
        signature = private.sign(b"x" * 32, mechanism=Mechanism.ECDSA)
        _, rsa = session.generate_keypair(KeyType.RSA, 2048)
        for _ in range(2):
            rsa.sign(b"x", mechanism=Mechanism.SHA256_RSA_PKCS)
        assert public.verify(b"x" * 32, signature, mechanism=Mechanism.ECDSA)
        assert _counts(measured, "sign") == {("CKM_ECDSA", None): 1, ("CKM_SHA256_RSA_PKCS", None): 2}
        assert _counts(measured, "verify") == {("CKM_ECDSA", None): 1}
        assert _counts(measured, "generate_key_pair") == {
            ("CKM_EC_KEY_PAIR_GEN", None): 1,
            ("CKM_RSA_PKCS_KEY_PAIR_GEN", None): 1,
        }

    def test_only_these_labels_are_recorded(self, measured: Any, keys: Any) -> None:
        keys[1].sign(b"x" * 32, mechanism=Mechanism.ECDSA)
        assert measured.labels(DURATION)[-1] == {
            "trust.pkcs11.operation": "sign",
            "trust.pkcs11.mechanism": "CKM_ECDSA",
            "trust.pkcs11.token.label": TOKEN,
        }
        assert "signing" not in str(measured.collect().to_json())

    def test_default_mechanism_is_named(self, measured: Any, session: Any) -> None:
        _, private = session.generate_keypair(KeyType.RSA, 2048)
        private.sign(b"x")
        assert _counts(measured, "sign") == {("CKM_SHA512_RSA_PKCS", None): 1}
        assert _counts(measured, "generate_key_pair") == {("CKM_RSA_PKCS_KEY_PAIR_GEN", None): 1}

    def test_invalid_signature_is_no_error(self, measured: Any, keys: Any) -> None:
        assert not keys[0].verify(b"x" * 32, b"y" * 64, mechanism=Mechanism.ECDSA)
        assert _counts(measured, "verify") == {("CKM_ECDSA", None): 1}

    def test_errors_have_the_return_value_and_pass_unchanged(self, measured: Any, keys: Any) -> None:
        with pytest.raises(pkcs11.exceptions.MechanismInvalid):
            keys[1].sign(b"x", mechanism=Mechanism.AES_CBC)
        assert _counts(measured, "sign") == {("CKM_AES_CBC", "CKR_MECHANISM_INVALID"): 1}
        assert measured.value(ACTIVE) == 0

    def test_wrong_arguments_raise_as_without_measurement(self, measured: Any, keys: Any) -> None:
        wrong: tuple[Any, ...] = ("CKM_ECDSA", [], {})
        for mechanism in wrong:
            with pytest.raises(pkcs11.exceptions.ArgumentsBad):
                keys[1].sign(b"x", mechanism=mechanism)
        with pytest.raises(TypeError):
            keys[1].sign()
        assert {error for _, error in _counts(measured, "sign")} == {"CKR_ARGUMENTS_BAD", "TypeError"}
        assert measured.dropped() == {}

    def test_secret_keys_random_numbers_and_digests(self, measured: Any, session: Any) -> None:
        key = session.generate_key(KeyType.AES, 256)
        iv = session.generate_random(128)
        assert key.decrypt(key.encrypt(b"text", mechanism_param=iv), mechanism_param=iv) == b"text"
        session.digest("text", mechanism=Mechanism.SHA256)
        other = session.generate_key(KeyType.AES, 256, template={Attribute.EXTRACTABLE: True})
        assert key.unwrap_key(ObjectClass.SECRET_KEY, KeyType.AES, key.wrap_key(other))
        assert _counts(measured, "generate_key") == {("CKM_AES_KEY_GEN", None): 2}
        assert _counts(measured, "generate_random") == {(None, None): 1}
        assert _counts(measured, "encrypt") == _counts(measured, "decrypt") == {("CKM_AES_CBC_PAD", None): 1}
        assert _counts(measured, "digest") == {("CKM_SHA256", None): 1}
        assert _counts(measured, "wrap") == _counts(measured, "unwrap") == {("CKM_AES_KEY_WRAP", None): 1}

    def test_search_is_measured_until_it_ends(self, measured: Any, session: Any, keys: Any) -> None:
        assert session.get_key(label="signing", object_class=ObjectClass.PRIVATE_KEY) == keys[1]
        found = session.get_objects()
        assert next(found)
        assert measured.value(ACTIVE, {"trust.pkcs11.operation": "find_objects"}) == 1
        found.close()
        assert measured.value(ACTIVE) == 0
        assert _counts(measured, "find_objects") == {(None, None): 2}

    def test_chunks_are_measured_together_without_what_the_service_does_between(
        self, measured: Any, session: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key, iv = session.generate_key(KeyType.AES, 256), session.generate_random(128)
        pieces = key.encrypt([b"x" * 64] * 3, mechanism_param=iv)
        assert len(next(pieces)) == 64
        clock = iter(range(1000, 10_000, 1000))
        monkeypatch.setattr("trust_otel.instrumentation.pkcs11.perf_counter", lambda: next(clock))
        assert [len(piece) for piece in pieces] == [64, 64, 16]
        monkeypatch.undo()
        ((_, point),) = measured.series(DURATION, {"trust.pkcs11.operation": "encrypt"})
        assert point.count == 1
        assert point.sum == pytest.approx(4000, abs=1)

    def test_types_and_identities_stay_those_of_the_library(self, session: Any, keys: Any) -> None:
        assert type(session) is _COMPILED.Session
        assert isinstance(keys[1], pkcs11.PrivateKey)
        assert not hasattr(session.token, "__wrapped__")

    def test_nothing_is_measured_after_uninstrument(self, measured: Any, keys: Any) -> None:
        Pkcs11Instrumentor().uninstrument()
        keys[1].sign(b"x" * 32, mechanism=Mechanism.ECDSA)
        assert _counts(measured, "sign") == {}


class TestSessions:
    def test_sessions_are_counted_until_they_are_closed(self, measured: Any, token: Any, session: Any) -> None:
        others = [token.open() for _ in range(3)]
        assert measured.value(SESSIONS, {"trust.pkcs11.token.label": TOKEN}) == 4
        for other in others:
            other.close()
        assert measured.value(SESSIONS) == 1
        assert _counts(measured, "open_session") == {(None, None): 4}

    def test_session_that_is_closed_twice_counts_once(self, measured: Any, token: Any, session: Any) -> None:
        other = token.open()
        other.close()
        with pytest.raises(pkcs11.exceptions.SessionHandleInvalid):
            other.close()
        assert measured.value(SESSIONS) == 1

    def test_wrong_pin_is_an_error_of_open_session(self, measured: Any, token: Any) -> None:
        with pytest.raises(pkcs11.exceptions.PinIncorrect):
            token.open(user_pin="wrong")
        assert _counts(measured, "open_session") == {(None, "CKR_PIN_INCORRECT"): 1}
        assert measured.value(SESSIONS) == 0

    def test_finalized_library_has_no_sessions(self, measured: Any, softhsm_module: str) -> None:
        library = pkcs11.lib(softhsm_module)
        library.get_token(token_label=TOKEN).open()
        library.reinitialize()
        assert measured.value(SESSIONS) == 0

    def test_forked_process_counts_its_own_sessions(self, tmp_path: Path) -> None:
        # Not in this process, which other tests may have left with threads of gRPC: a fork could hang.
        environment = {**os.environ, **new_token(tmp_path / "token"), "PYTHONPATH": str(_ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", _FORKS], env=environment, capture_output=True, text=True, timeout=60
        )
        assert (done.stdout, done.stderr) == ("child: 0\nparent: 1\n", "")


class TestState:
    def test_slots_are_counted_by_state(self, measured: Any, session: Any) -> None:
        # SoftHSM always has one more slot, for the next token.
        assert measured.value("trust.pkcs11.slot.count", {"trust.pkcs11.slot.state": "token"}) >= 2
        assert measured.value("trust.pkcs11.slot.count", {"trust.pkcs11.slot.state": "empty"}) == 0

    def test_what_the_token_does_not_give_is_absent(self, measured: Any, session: Any) -> None:
        assert measured.series("trust.pkcs11.session.max") == []
        assert measured.series("trust.pkcs11.token.memory.free") == []

    def test_module_is_asked_only_within_calls_of_the_service(
        self, measured: Any, session: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def never(path: str) -> Any:
            raise AssertionError("the module is called")

        monkeypatch.setattr(tokens, "Module", never)
        measured.collect()
        session.generate_random(128)
        assert measured.dropped() == {}, "a second reading within 15 s"

    def test_old_reading_is_not_shown(self, measured: Any, session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        assert measured.series("trust.pkcs11.slot.count")
        monkeypatch.setattr(tokens, "_OLD_SECONDS", 0)
        assert measured.series("trust.pkcs11.slot.count") == []


class TestKeyPolicies:
    def test_uses_of_private_keys_are_compared_with_their_policy(
        self, measured: Any, keys: Any, tmp_path: Path
    ) -> None:
        measured.recorder.keys.set_key_policies(_policies(tmp_path, max_uses_per_hour=1))
        public, private = keys
        for _ in range(3):
            signature = private.sign(b"x" * 32, mechanism=Mechanism.ECDSA)
            public.verify(b"x" * 32, signature, mechanism=Mechanism.ECDSA)
        assert measured.value("trust.key.uses", {"trust.key.use": "allowed"}) == 1
        assert measured.value("trust.key.uses", {"trust.key.use": "over_rate"}) == 2

    def test_other_keys_and_failed_operations_are_no_use(
        self, measured: Any, session: Any, keys: Any, tmp_path: Path
    ) -> None:
        measured.recorder.keys.set_key_policies(_policies(tmp_path, max_uses_per_hour=1))
        _key_pair(session, "other")[1].sign(b"x" * 32, mechanism=Mechanism.ECDSA)
        with pytest.raises(pkcs11.exceptions.MechanismInvalid):
            keys[1].sign(b"x", mechanism=Mechanism.AES_CBC)
        assert measured.value("trust.key.uses") == 0
        assert measured.dropped() == {}


class TestProcess:
    def test_service_without_code_changes_is_measured(self, launched: Launched, tmp_path: Path) -> None:
        policy = tmp_path / "policy.toml"
        policy.write_text("[key.signing]\nmax_uses_per_hour = 0\n")
        done = launched(
            _SERVICE,
            OTEL_METRICS_EXPORTER="console",
            TRUST_OTEL_KEY_POLICY_FILE=str(policy),
            **new_token(tmp_path / "token"),
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert '"trust.pkcs11.operation": "sign"' in done.stdout
        assert '"trust.key.use": "over_rate"' in done.stdout

    def test_service_without_python_pkcs11_never_loads_it(self, launched: Launched) -> None:
        done = launched("import sys; print('pkcs11' in sys.modules)", OTEL_METRICS_EXPORTER="none")
        assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


_SERVICE = f"""
import os, pkcs11
library = pkcs11.lib(os.environ["PKCS11_MODULE"])
with library.get_token(token_label={TOKEN!r}).open(rw=True, user_pin={PIN!r}) as session:
    public, private = session.generate_keypair(pkcs11.KeyType.RSA, 2048, label="signing")
    private.sign(b"data")
"""


_FORKS = f"""
import os, pkcs11
from tests.conftest import Recording
from trust_otel.instrumentation.pkcs11 import Pkcs11Instrumentor

recording = Recording()
Pkcs11Instrumentor().instrument(metrics=recording.metrics)
session = pkcs11.lib(os.environ["PKCS11_MODULE"]).get_token(token_label={TOKEN!r}).open(user_pin={PIN!r})
child = os.fork()
if child == 0:
    print(f"child: {{recording.value({SESSIONS!r}):.0f}}", flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(f"parent: {{recording.value({SESSIONS!r}):.0f}}")
"""


def _policies(folder: Path, **limits: int) -> tuple[KeyPolicy, ...]:
    path = folder / "policies.toml"
    path.write_text("[key.signing]\n" + "".join(f"{name} = {value}\n" for name, value in limits.items()))
    return read_key_policies(path)
