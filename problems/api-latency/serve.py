"""Lets the scorer ask the handler: one connection, one line for each question and each answer.

The first line is the readings, which is answered with `ready` when the handler is made. Then each line is a question,
`total START END`, `peak START END` or `above LIMIT`, and is answered with a number.
"""

import os
import socket

from handler import Handler

with socket.socket(socket.AF_UNIX) as server:
    server.bind(os.environ["AR_SOCKET"])
    server.listen()
    connection, _ = server.accept()
    with connection:
        lines = connection.makefile("rb")
        handler = Handler([int(word) for word in lines.readline().split()])
        questions = {b"total": handler.total, b"peak": handler.peak, b"above": handler.above}
        connection.sendall(b"ready\n")
        for line in lines:
            name, *numbers = line.split()
            connection.sendall(b"%d\n" % questions[name](*map(int, numbers)))
