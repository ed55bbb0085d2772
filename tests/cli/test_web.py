"""The socket the server listens on."""

from __future__ import annotations

import socket

from cli.web import listen


def test_the_end_of_an_answer_does_not_wait_for_the_peer_to_acknowledge_its_beginning() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
