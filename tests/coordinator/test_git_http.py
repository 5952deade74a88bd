"""Cloning over real HTTP with the real git, and what happens to everybody who wants more than that."""

import gzip
import os
import re
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import httpx
import psutil
import pytest
import uvicorn
from starlette.applications import Starlette

from ar_client.main import COMMANDS
from ar_coordinator.evidence import Publication, Score
from ar_coordinator.git_http import MAX_REQUEST_BYTES, git_routes
from ar_coordinator.git_objects import PoolIdentity
from ar_coordinator.ledger import LEDGER, Ledger, LedgerEntry
from ar_coordinator.registry import Registry
from ar_coordinator.repository import ProblemRepository

PUBLISHED = Publication(problem="abc", revision=1, score=Score(value=0.5), locked_digest="0f").to_message()
UPLOAD = {"Content-Type": "application/x-git-upload-pack-request"}
Git = Callable[..., subprocess.CompletedProcess[str]]


def packet(text: str) -> bytes:
    return f"{len(text) + 4:04x}{text}".encode()


LIST_REFS = packet("command=ls-refs\n") + b"0000"


@contextmanager
def serving(folder: Path, *, limit: int = 8, seconds: float = 60) -> Iterator[int]:
    """Serve the repositories in ``folder`` on a free port; yields the port."""

    def find(name: str) -> Path | None:
        path = folder / f"{name}.git"
        return path if path.exists() else None

    listener = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=git_routes(find, limit=limit, seconds=seconds))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
    # The socket listens already, so that no client has to wait for the thread.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, pool: PoolIdentity, when: datetime) -> ProblemRepository:
    """What most tests only read."""
    folder = tmp_path_factory.mktemp("served")
    repository = ProblemRepository(folder / "abc.git", pool)
    head = repository.create({"program.md": b"goal\n", "src/x.py": b"1\n"}, PUBLISHED, "otter", when)
    repository.commit_accept(head, "src/x.py", b"2\n", PUBLISHED, "otter", when)
    Ledger(repository.path, pool).append([LedgerEntry(sequence=1, record={"id": "x-1"})], {}, when)
    repository.store.move_ref("refs/ar/private", head, None)
    Registry(folder / "registry.git", pool).write({"secret": b"s"}, "x", when)
    return repository


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, pool: PoolIdentity, when: datetime) -> ProblemRepository:
    """More than the buffers of a connection hold, so that a client that stops reading stops the server."""
    repository = ProblemRepository(tmp_path_factory.mktemp("large") / "large.git", pool)
    repository.create({f"{n}.bin": os.urandom(4 << 20) for n in range(4)}, PUBLISHED, "otter", when)
    return repository


@pytest.fixture(scope="module")
def port(repository: ProblemRepository) -> Iterator[int]:
    with serving(repository.path.parent) as port:
        yield port


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_a_clone_is_main_and_verifies(
    repository: ProblemRepository, port: int, git: Git, tmp_path: Path, version: str
) -> None:
    clone = tmp_path / "clone"
    url = f"http://127.0.0.1:{port}/git/abc.git"
    git("-c", f"protocol.version={version}", "clone", "--quiet", url, str(clone))
    assert (clone / "src/x.py").read_bytes() == b"2\n"
    assert git("rev-parse", "HEAD", cwd=clone).stdout.strip() == repository.head()
    for commit in git("rev-list", "HEAD", cwd=clone).stdout.split():
        assert 'Good "git" signature' in git("verify-commit", commit, cwd=clone).stderr
    assert "refs/ar" not in git("for-each-ref", cwd=clone).stdout
    listed = git("ls-remote", url).stdout
    assert LEDGER in listed
    assert "refs/ar/private" not in listed


def test_the_ledger_can_be_fetched_by_name(port: int, git: Git, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", f"http://127.0.0.1:{port}/git/abc.git", str(clone))
    git("fetch", "--quiet", "origin", f"{LEDGER}:{LEDGER}", cwd=clone)
    assert git("show", f"{LEDGER}:2026/03/04/1.jsonl", cwd=clone).stdout == '{"id":"x-1","sequence":1}\n'
    assert git("fetch", "origin", "refs/ar/private", cwd=clone, check=False).returncode != 0


def test_a_fetch_brings_what_is_new(
    repository: ProblemRepository, port: int, git: Git, tmp_path: Path, when: datetime
) -> None:
    clone = tmp_path / "clone"
    growing = ProblemRepository(repository.path.parent / "growing.git", repository.pool)
    head = growing.create({"x.py": b"x"}, PUBLISHED, "otter", when)
    git("clone", "--quiet", f"http://127.0.0.1:{port}/git/growing.git", str(clone))
    for number in range(30):
        head = growing.commit_accept(head, "x.py", b"%d\n" % number, PUBLISHED, "otter", when)
    git("pull", "--quiet", "--ff-only", cwd=clone)
    assert git("rev-parse", "HEAD", cwd=clone).stdout.strip() == head


def test_a_shallow_clone_works(port: int, git: Git, tmp_path: Path) -> None:
    git("clone", "--quiet", "--depth=1", f"http://127.0.0.1:{port}/git/abc.git", str(tmp_path / "clone"))
    assert git("rev-list", "--count", "HEAD", cwd=tmp_path / "clone").stdout.strip() == "1"


def test_a_push_is_refused_in_words(repository: ProblemRepository, port: int, git: Git, tmp_path: Path) -> None:
    before = repository.head()
    clone = tmp_path / "clone"
    git("clone", "--quiet", f"http://127.0.0.1:{port}/git/abc.git", str(clone))
    git("commit", "--quiet", "--allow-empty", "-m", "mine", cwd=clone)
    pushed = git("push", "origin", "main", cwd=clone, check=False)
    assert pushed.returncode != 0
    assert "403" in pushed.stderr
    base = f"http://127.0.0.1:{port}/git/abc.git"
    for answer in (
        httpx.get(f"{base}/info/refs?service=git-receive-pack"),
        httpx.post(f"{base}/git-receive-pack", content=b"0000"),
    ):
        assert answer.status_code == 403
        assert "read-only" in answer.text
    assert repository.head() == before


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "registry",
        "ab",
        "a" * 65,
        "ABC",
        "..",
        "%2e%2e",
        "abc%2f..%2fabc",
        "abc%00",
        "abc%0a",
        "-é-",
        "a.b",
    ],
)
def test_other_names_do_not_exist(port: int, name: str) -> None:
    """Also the registry, although it lies in the same folder: it has no mark that it may be served."""
    base = f"http://127.0.0.1:{port}/git/{name}.git"
    assert httpx.get(f"{base}/info/refs?service=git-upload-pack").status_code == 404
    assert httpx.post(f"{base}/git-upload-pack", content=LIST_REFS, headers=UPLOAD).status_code in {404, 405}


def test_an_unknown_name_leads_to_a_command_that_there_is(port: int) -> None:
    said = httpx.get(f"http://127.0.0.1:{port}/git/unknown.git/info/refs?service=git-upload-pack").text
    name = re.search(r"`ar-pool (\S+)`", said)
    assert name is not None, said
    assert name[1] in COMMANDS


@pytest.mark.parametrize("path", ["info/refs", "info/refs?service=x", "HEAD", "objects/info/packs", "config"])
def test_the_dumb_protocol_is_refused(port: int, path: str) -> None:
    answer = httpx.get(f"http://127.0.0.1:{port}/git/abc.git/{path}")
    assert answer.status_code == 403
    assert "git clone" in answer.text


def post(port: int, content: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    sent = UPLOAD | {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"http://127.0.0.1:{port}/git/abc.git/git-upload-pack", content=content, headers=sent)


def test_a_compressed_request_is_understood(port: int) -> None:
    plain = post(port, LIST_REFS, Git_Protocol="version=2")
    packed = post(port, gzip.compress(LIST_REFS, mtime=0), Git_Protocol="version=2", Content_Encoding="gzip")
    assert plain.status_code == packed.status_code == 200
    assert plain.headers["content-type"] == "application/x-git-upload-pack-result"
    assert "no-cache" in plain.headers["cache-control"]
    assert b"refs/heads/main" in plain.content
    assert plain.content == packed.content


@pytest.mark.parametrize(
    ("content", "encoding", "status"),
    [
        (b"not gzip", "gzip", 400),
        (gzip.compress(LIST_REFS, mtime=0)[:-9], "gzip", 400),
        (b"x", "br", 415),
        (b"x" * (MAX_REQUEST_BYTES + 1), "identity", 413),
        (gzip.compress(b"\0" * (64 << 20)), "gzip", 413),
    ],
)
def test_odd_bodies_are_refused(port: int, content: bytes, encoding: str, status: int) -> None:
    assert post(port, content, Content_Encoding=encoding).status_code == status


def test_another_content_type_is_refused(port: int) -> None:
    assert post(port, LIST_REFS, Content_Type="text/plain").status_code == 415


@pytest.mark.parametrize("junk", [b"", b"0000", b"zzzz", b"0005x", b"ffff", os.urandom(1000)])
def test_junk_harms_nobody(port: int, junk: bytes) -> None:
    assert post(port, junk, Git_Protocol="version=2").status_code == 400
    assert post(port, LIST_REFS, Git_Protocol="version=2").status_code == 200


@pytest.mark.parametrize("value", ["version=3", "x", "version=2\t;x", "GIT_DIR=/", "version=22", "a" * 5000])
def test_an_odd_protocol_is_the_oldest(port: int, value: str) -> None:
    url = f"http://127.0.0.1:{port}/git/abc.git/info/refs?service=git-upload-pack"
    assert httpx.get(url, headers={"Git-Protocol": value}).content.startswith(b"001e# service=git-upload-pack\n0000")
    assert httpx.get(url, headers={"Git-Protocol": f"{value}:version=2"}).content.startswith(b"000eversion 2\n")


def test_more_clones_than_places(repository: ProblemRepository, git: Git, tmp_path: Path) -> None:
    with serving(repository.path.parent, limit=2) as port, ThreadPoolExecutor(6) as threads:
        url = f"http://127.0.0.1:{port}/git/abc.git"
        clones = [tmp_path / f"clone-{number}" for number in range(6)]
        list(threads.map(lambda clone: git("clone", "--quiet", url, str(clone)), clones))
    assert all((clone / "src/x.py").read_bytes() == b"2\n" for clone in clones)


def test_with_no_place_left_one_is_told_to_wait(repository: ProblemRepository) -> None:
    with serving(repository.path.parent, limit=0) as port:
        answer = post(port, LIST_REFS)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]


@contextmanager
def stalled_clone(port: int, head: str | None) -> Iterator[socket.socket]:
    """A client that asks for everything, reads the first bytes and no more."""
    body = packet(f"want {head} no-progress\n") + b"0000" + packet("done\n")
    request = (
        "POST /git/large.git/git-upload-pack HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: {UPLOAD['Content-Type']}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.settimeout(30)
        client.connect(("127.0.0.1", port))
        client.sendall(request)
        assert client.recv(12) == b"HTTP/1.1 200"
        yield client


@contextmanager
def git_ends() -> Iterator[int]:
    """Hold on to every git process there is now; at the end wait until all have ended. Yields how many."""
    # Not psutil's wait, which would take the exit status of a child away from the server under test.
    processes = psutil.Process().children(recursive=True)
    handles = [os.pidfd_open(process.pid) for process in processes if process.name() == "git"]
    try:
        yield len(handles)
        for handle in handles:
            ended, _, _ = select.select([handle], [], [], 30)
            assert ended, "a git process is still running"
    finally:
        for handle in handles:
            os.close(handle)


def test_a_client_that_leaves_takes_its_processes_along(large: ProblemRepository) -> None:
    with serving(large.path.parent) as port:
        with ExitStack() as after_leaving:
            with stalled_clone(port, large.head()):
                assert after_leaving.enter_context(git_ends()) > 0


def test_a_client_that_never_reads_meets_the_deadline(large: ProblemRepository) -> None:
    with serving(large.path.parent, seconds=1) as port, stalled_clone(port, large.head()) as client:
        with git_ends() as running:
            assert running > 0
        received = 0
        tail = b""
        while chunk := client.recv(1 << 20):
            received += len(chunk)
            tail = (tail + chunk)[-16:]
        assert received < 16 << 20
        assert not tail.endswith(b"0\r\n\r\n"), "the answer was cut, so it must not look complete"


def test_a_body_that_never_comes_meets_the_deadline(repository: ProblemRepository) -> None:
    with serving(repository.path.parent, seconds=1) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(30)
        head = f"Host: x\r\nContent-Type: {UPLOAD['Content-Type']}\r\nContent-Length: 10\r\n\r\n"
        client.sendall(f"POST /git/abc.git/git-upload-pack HTTP/1.1\r\n{head}".encode())
        assert client.recv(12) == b"HTTP/1.1 408"
