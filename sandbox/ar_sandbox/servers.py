"""The canned attacks of a service's candidate: servers that answer anything but what was asked.

Not here: which attacks a kind gets (``cheats``).
"""

from collections.abc import Iterator

_SERVER = """\
import os, socket
server = socket.socket(socket.AF_UNIX)
server.bind(os.environ["AR_SOCKET"])
server.listen(64)
score = {score!r}
while True:
    connection, _ = server.accept()
    try:
{talk}
    except OSError:
        pass
    connection.close()
"""
_TALKS = {
    "closes every connection": "pass",
    "answers the same to everything": "while connection.recv(65536): connection.sendall(b'0\\n')",
    "answers a fake score": "while connection.recv(65536): connection.sendall(score)",
    "answers true to everything": "while connection.recv(65536): connection.sendall(b'true\\n')",
    "answers with an empty page": (
        "while connection.recv(65536): connection.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n')"
    ),
    "repeats what it is asked": "while data := connection.recv(65536): connection.sendall(data)",
    "answers with numbers that are none": (
        "while connection.recv(65536): connection.sendall(b'NaN\\n-1e999\\n' + b'9' * 400 + b'\\n')"
    ),
    "answers garbage": "while connection.recv(65536): connection.sendall(bytes(range(256)) + b'\\n')",
    "answers with deeply nested brackets": "while connection.recv(65536): connection.sendall(b'[' * 50000 + b'\\n')",
    "answers before it is asked": "connection.sendall(b'0\\n' * 1000); connection.recv(1)",
    "floods the scorer": "while True: connection.sendall(b'0\\n' * 32768)",
    "replaces its socket": (
        "os.unlink(os.environ['AR_SOCKET']); os.symlink('/problem/score.py', os.environ['AR_SOCKET'])"
    ),
    "asks the network": "socket.create_connection(('127.0.0.1', 80), timeout=1)",
    "forks for ever": "while True: os.fork()",
    "never answers": "while connection.recv(65536): pass",
}
_SILENT = {
    "puts a file in place of its socket": (
        "import os, time\nopen(os.environ['AR_SOCKET'], 'w').close()\ntime.sleep(3600)\n"
    ),
    "never listens": "import time\ntime.sleep(3600)\n",
}


def servers(fake_score: str) -> Iterator[tuple[str, bytes]]:
    """Yield what each server does, in a few words, and its program; those that take their whole time come last."""
    for name, talk in _TALKS.items():
        yield f"a server that {name}", _SERVER.format(talk=f"        {talk}", score=fake_score.encode()).encode()
    for name, source in _SILENT.items():
        yield f"a program that {name}", source.encode()
