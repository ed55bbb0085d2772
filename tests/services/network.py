"""Tests talk to this machine only. A connection to anywhere else is refused and fails the test."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class NetworkBlocked(ConnectionRefusedError):
    """A test reached for an address outside of this machine."""


class NetworkGuard:
    """Attempts are also recorded: code that swallows the error, or runs in a thread, is still found out."""

    def __init__(self) -> None:
        self.attempts: list[str] = []

    def take_attempts(self) -> list[str]:
        taken, self.attempts = self.attempts, []
        return taken

    def refuse(self, what: str) -> NetworkBlocked:
        self.attempts.append(what)
        return NetworkBlocked(f"tests may not use the network, and this one reached for {what}")


def is_local(host: object) -> bool:
    """Whether a host, as given to `connect`, is this machine."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(name).partition("%")[0])
    except ValueError:
        return str(name).endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def is_address(host: object) -> bool:
    try:
        ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return True


@contextmanager
def guarded_network() -> Iterator[NetworkGuard]:
    """Until left, Python's sockets connect to this machine only, and no name is looked up elsewhere."""
    guard = NetworkGuard()
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not is_local(address[0]):
            raise guard.refuse(f"{address[0]}:{address[1]}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        check(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        check(self, address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        # An address in digits asks nobody; whether it may be connected to is decided there.
        if not is_local(host) and not is_address(host):
            raise guard.refuse(f"the name {host!r}")
        return getaddrinfo(host, *args, **kwargs)

    socket.socket.connect = guarded_connect  # type: ignore[method-assign, assignment]
    socket.socket.connect_ex = guarded_connect_ex  # type: ignore[method-assign, assignment]
    socket.getaddrinfo = guarded_getaddrinfo
    try:
        yield guard
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
        socket.socket.connect_ex = connect_ex  # type: ignore[method-assign]
        socket.getaddrinfo = getaddrinfo
