import asyncio
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from tests.services.network import NetworkBlocked, NetworkGuard, is_local
from tests.services.process import ROOT

ELSEWHERE = ("192.0.2.1", 443)  # reserved for documentation; nobody is there


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        (b"localhost", True),
        ("api.localhost", True),
        (None, True),
        ("192.0.2.1", False),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("example.com", False),
        ("localhost.example.com", False),
    ],
)
def test_what_is_local(host: object, local: bool) -> None:
    assert is_local(host) is local


def test_the_outside_is_refused_and_recorded(network: NetworkGuard) -> None:
    with socket.socket() as sock, pytest.raises(NetworkBlocked, match=r"192\.0\.2\.1:443"):
        sock.connect(ELSEWHERE)
    with socket.socket() as sock, pytest.raises(NetworkBlocked):
        sock.connect_ex(ELSEWHERE)
    with pytest.raises(NetworkBlocked, match=r"example\.com"):
        socket.getaddrinfo("example.com", 443)
    with pytest.raises(httpx.ConnectError):
        httpx.get("http://192.0.2.1/", trust_env=False)
    assert len(network.take_attempts()) == 4


def test_asyncio_and_threads_are_guarded_too(network: NetworkGuard) -> None:
    async def reach() -> None:
        await asyncio.open_connection(*ELSEWHERE)

    with pytest.raises(NetworkBlocked):
        asyncio.run(reach())

    def swallow() -> None:
        try:
            socket.create_connection(ELSEWHERE, timeout=1).close()
        except OSError:
            pass

    thread = threading.Thread(target=swallow)
    thread.start()
    thread.join()
    assert network.take_attempts() == ["192.0.2.1:443"] * 2


def test_this_machine_is_reachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=1).close()


SLY = """
import socket

def test_sly():
    try:
        socket.create_connection(("192.0.2.1", 443), timeout=1)
    except OSError:
        pass
"""


def test_an_attempt_fails_the_test_even_when_its_error_is_swallowed(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import _this_machine_only, network\n")
    (tmp_path / "test_sly.py").write_text(SLY)
    command = [sys.executable, "-m", "pytest", "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "1 passed, 1 error" in done.stdout
    assert "reached outside of this machine: 192.0.2.1:443" in done.stdout
