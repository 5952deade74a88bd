"""Lets the scorer have lists sorted: one connection is one list.

The scorer sends how many things there are. Each line from here is a question, `a b`, which it answers with `<` or
`>`; the last line is `=` and all of them, the smallest first.
"""

import os
import socket

from sort import sort


def serve(connection: socket.socket) -> None:
    """Sort one list."""
    lines = connection.makefile("rb")

    def less(a: int, b: int) -> bool:
        connection.sendall(b"%d %d\n" % (a, b))
        return lines.readline() == b"<\n"

    count = int(lines.readline())
    order = sort(count, less)
    connection.sendall(b"= " + b" ".join(b"%d" % thing for thing in order) + b"\n")


with socket.socket(socket.AF_UNIX) as server:
    server.bind(os.environ["AR_SOCKET"])
    server.listen()
    while True:
        asking, _ = server.accept()
        with asking:
            serve(asking)
