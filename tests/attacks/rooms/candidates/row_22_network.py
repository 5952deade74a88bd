"""Calls its host over TCP, UDP and a socket with an abstract name, asks for a name, and opens other sockets.

expect: refused
says: reached 0 of 9
"""

import socket

ADDRESSES = (
    (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", TCP)),
    (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", UDP)),
    (socket.AF_UNIX, socket.SOCK_STREAM, "\0" + ABSTRACT),
    (socket.AF_INET6, socket.SOCK_STREAM, ("::1", TCP)),
    (socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 443)),
    (socket.AF_NETLINK, socket.SOCK_RAW, (0, 0)),
    (socket.AF_PACKET, socket.SOCK_RAW, ("lo", 0)),
    (socket.AF_INET, socket.SOCK_RAW, ("127.0.0.1", 0)),
)
reached = []
for family, kind, address in ADDRESSES:
    try:
        with socket.socket(family, kind) as made:
            made.settimeout(1)
            made.connect(address)
            made.send(b"x")
            reached.append(str(address))
    except OSError:
        pass
try:
    socket.getaddrinfo("example.org", 443)
    reached.append("a name")
except OSError:
    pass
say(f"reached {len(reached)} of {len(ADDRESSES) + 1} {reached}")
