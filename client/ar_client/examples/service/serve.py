"""Answer the scorer's requests with the policy: for each page that it sends, the page that leaves the cache.

One connection is one sequence. Every line is answered by a line: a page's number, or `-` where none has to leave.
"""

import os
import socket

from policy import Policy

SIZE = 16


def serve(connection: socket.socket) -> None:
    """Answer one sequence to its end."""
    policy = Policy()
    cached: set[int] = set()
    for line in connection.makefile("rb"):
        page = int(line)
        hit = page in cached
        out = policy.leaves(set(cached)) if not hit and len(cached) == SIZE else None
        policy.request(page, hit)
        if out is not None:
            cached.remove(out)
        cached.add(page)
        connection.sendall(b"-\n" if out is None else b"%d\n" % out)


with socket.socket(socket.AF_UNIX) as server:
    server.bind(os.environ["AR_SOCKET"])
    server.listen()
    while True:
        asking, _ = server.accept()
        with asking:
            serve(asking)
