"""Answers requests on the socket with the solution, one JSON document per line: the candidate's room."""

import json
import os
import socket

import solution

with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(os.environ["AR_SOCKET"])
    listener.listen()
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            for line in stream:
                stream.write(json.dumps(solution.answer(json.loads(line))).encode() + b"\n")
                stream.flush()
