"""Settings of the HSM that the service cannot start with."""

from __future__ import annotations

from pathlib import Path

import pytest
from trust_service.settings import HsmSettings, InvalidSettingError, settings_from_environment

MODULE, TOKEN, PIN_FILE = (f"TRUST_SERVICE_PKCS11_{part}" for part in ("MODULE", "TOKEN", "PIN_FILE"))


@pytest.fixture(autouse=True)
def valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HsmSettings:
    module, pin_file = tmp_path / "module.so", tmp_path / "pin"
    module.touch()
    pin_file.write_text("secret-pin")
    for name, value in ((MODULE, str(module)), (TOKEN, "a-token"), (PIN_FILE, str(pin_file))):
        monkeypatch.setenv(name, value)
    return HsmSettings(module, "a-token", pin_file)


def test_the_hsm_is_read_from_the_environment(valid: HsmSettings) -> None:
    assert settings_from_environment().hsm == valid


def test_without_a_module_keys_are_in_software(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODULE)
    monkeypatch.delenv(PIN_FILE)
    assert settings_from_environment().hsm is None


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        (MODULE, "/nowhere/module.so", "set the path of a PKCS#11 module"),
        (TOKEN, "", "set the label of a token of the module"),
        (PIN_FILE, "", "set the path of a file with the PIN of the token"),
        (PIN_FILE, "/nowhere/pin", "set the path of a file with the PIN of the token"),
    ],
)
def test_an_error_names_setting_value_and_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettingError) as caught:
        settings_from_environment()
    assert str(caught.value) == f"{name}={value!r}: {remedy}"
