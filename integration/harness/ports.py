"""Ports for servers that are started by tests."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


def hold_port() -> socket.socket:
    """Return a socket that keeps a free port from being given to anybody else.

    Linux lets a server listen on a port to which others are merely bound, if all of them set
    SO_REUSEADDR. Until then clients are refused. (Were the port free, the system might choose it
    for the client's own end, and the client would be connected to itself.)
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((HOST, 0))
    return holder
