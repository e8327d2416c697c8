"""What Privity asks of TCP sockets: buffers, deadlines, a farewell that arrives."""

from __future__ import annotations

import os
import socket
import struct
import time
from contextlib import suppress
from typing import Final

SOCKET_BUFFER: Final = 4 << 20


def part(sock: socket.socket, *, spoken: bool) -> None:
    """Close. If it has ``spoken``, so that its last words (an alert, a refusal) arrive: unread bytes cause a reset."""
    if not spoken:
        sock.close()
        return
    try:
        sock.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + 0.5
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            if not sock.recv(65536):
                break
    except OSError:
        pass
    sock.close()


def keep_idle_deadline(sock: socket.socket, idle_s: float) -> None:
    """Blocking, with the idle deadline kept by the kernel: one system call for each read."""
    sock.settimeout(None)
    seconds = int(idle_s)
    sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, max(1, int((idle_s - seconds) * 1e6)))
    )


def grow_buffers(sock: socket.socket) -> None:
    """Ask for big socket buffers where the kernel would grant them.

    Asking for more than the kernel's limit would switch its own tuning off and leave the buffers *smaller*.
    """
    for option, limit in ((socket.SO_SNDBUF, "wmem_max"), (socket.SO_RCVBUF, "rmem_max")):
        with suppress(OSError, ValueError):
            with open(os.path.join("/proc/sys/net/core", limit), encoding="ascii") as file:
                granted = int(file.read())
            if granted >= SOCKET_BUFFER:
                sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)


def address_of(sock: socket.socket, remote: bool = False) -> str:
    """``host:port`` of this end of a socket, or of the other."""
    try:
        host, port = (sock.getpeername() if remote else sock.getsockname())[:2]
    except OSError:
        return "an unknown address"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
