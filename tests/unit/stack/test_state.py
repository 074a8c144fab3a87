import json
import socket
from dataclasses import asdict
from pathlib import Path

import pytest

from trust_ops.stack.state import OPTIONAL, Addresses, ProcessRecord, State, load, port_of, save


def test_a_saved_state_is_loaded(tmp_path: Path) -> None:
    state = State(Addresses.on_free_ports(), {"collector": ProcessRecord(12, 34.5)})
    save(tmp_path / "stack.json", state)
    assert load(tmp_path / "stack.json") == state
    assert [file.name for file in tmp_path.iterdir()] == ["stack.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"addresses": {}, "processes": {}}'])
def test_an_invalid_state_file_is_ignored(tmp_path: Path, content: str) -> None:
    file = tmp_path / "stack.json"
    file.write_text(content)
    assert load(file) is None
    assert load(tmp_path / "missing.json") is None


def test_a_state_with_other_components_is_ignored(tmp_path: Path) -> None:
    addresses = Addresses.on_free_ports()
    file = tmp_path / "stack.json"
    for older in (addresses.always(), asdict(addresses) | {"optional": {}}):
        file.write_text(json.dumps({"addresses": older, "processes": {}}))
        assert load(file) is None


def test_addresses_are_on_different_loopback_ports() -> None:
    addresses = Addresses.on_free_ports()
    urls = [*addresses.always().values(), *addresses.optional.values()]
    assert len({port_of(url) for url in urls}) == 6 + len(OPTIONAL)
    assert all(url.startswith("http://127.0.0.1:") for url in urls)


def test_an_address_in_use_is_not_free() -> None:
    addresses = Addresses.on_free_ports()
    assert addresses.free()
    for url in (addresses.collector_health, addresses.optional["alertmanager-2-cluster"]):
        with socket.create_server(("127.0.0.1", port_of(url))):
            assert not addresses.free()


def test_a_url_without_a_port_is_rejected() -> None:
    with pytest.raises(ValueError, match="has no port"):
        port_of("http://127.0.0.1")
