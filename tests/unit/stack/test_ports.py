import socket

from trust_ops.stack.ports import LOOPBACK, all_free, free_ports


def test_ports_differ_and_are_outside_the_ephemeral_range() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(20000 <= port < 30000 for port in ports)


def test_no_port_is_given_twice() -> None:
    first = free_ports(200)
    assert not set(first) & set(free_ports(200))


def test_every_port_can_be_listened_on() -> None:
    for port in free_ports(5):
        with socket.create_server((LOOPBACK, port)):
            pass


def test_a_port_in_use_is_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        assert not all_free([port])
    assert all_free([port])
