"""Rows 39 to 54 of the threats: somebody who publishes, against the coordinator; each test is named by its row."""

import http.server
import json
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from tests.attacks.conftest import failure

from ar_core.lifecycle import ExperimentState, ProblemState
from ar_proto.v1 import publishing_pb2

Folder = Callable[..., dict[str, bytes]]
MIB = 1024 * 1024
_PIECES = 2000


def request(path: str, data: bytes = b"") -> publishing_pb2.PublishRequest:
    return publishing_pb2.PublishRequest(path=path, data=data)


@pytest.fixture(scope="module")
def sums(ada: Any, folder: Folder) -> str:
    return str(ada.opened(folder("sums")).name)


@pytest.mark.parametrize(
    "path",
    [
        ".gitattributes", ".gitmodules", "data/.git/config", ".GIT/hooks/post-checkout", "git~1/config", "gitmod~1",
        "gi7eba~1", "data/a:b", "c:evil", "data/aux\u200b.txt", "SCORE.PY", "score.py/inside", "a\ufe0fb", " lead",
        "trail ", "trail.", "cafe\u0301.txt", "a\\b",
    ],
)  # fmt: skip
def test_row_39_a_name_that_git_or_a_disk_gives_a_meaning_to(eve: Any, folder: Folder, path: str) -> None:
    answer = eve.publish({**folder("meaning"), path: b"evil"})
    assert (answer.status, answer.code) == (grpc.StatusCode.INVALID_ARGUMENT, "AR-P301"), answer
    assert eve.call("GetProblem", name="meaning").status is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    "path",
    [
        "../evil",
        "/etc/evil",
        "data/../../evil",
        "./evil",
        "data//evil",
        "",
        "..",
        "a/./b",
        "a\0b",
        "a\nb",
        "a/" * 20 + "b",
    ],
)
def test_row_46_path_traversal_in_a_bundle(site: Any, eve: Any, folder: Folder, path: str) -> None:
    answer = eve.publish({**folder("traversal"), path: b"traversed"})
    assert (answer.status, answer.code) == (grpc.StatusCode.INVALID_ARGUMENT, "AR-P301"), answer
    assert eve.call("GetProblem", name="traversal").status is grpc.StatusCode.NOT_FOUND
    assert not list(site.pool.directory.parent.rglob("evil"))


def test_row_46_a_bundle_is_refused_as_soon_as_it_is_too_large(eve: Any) -> None:
    sent: list[int] = []

    def pieces(make: Callable[[int], publishing_pb2.PublishRequest]) -> Iterator[publishing_pb2.PublishRequest]:
        for number in range(_PIECES):
            sent.append(number)
            yield make(number)

    def bytes_only(_number: int) -> publishing_pb2.PublishRequest:
        return request("data/large", bytes(MIB))

    def names_only(number: int) -> publishing_pb2.PublishRequest:
        return request(f"{number}/" + "n" * MIB)

    for make in (bytes_only, names_only):
        sent.clear()
        answer = eve.call("Publish", pieces(make))
        assert answer.code == "AR-P302", answer
        assert len(sent) < _PIECES, "the end of a bundle that is too large is not waited for"
    assert eve.call("Publish", iter([request(f"f{n}") for n in range(2001)])).code == "AR-P302"
    assert eve.call("Publish", iter([])).code == "AR-P302"


def test_row_46_one_publisher_uploads_one_folder_at_a_time(eve: Any, ada: Any) -> None:
    goes_on = threading.Event()

    def slow() -> Iterator[publishing_pb2.PublishRequest]:
        yield request("data/first", bytes(1000))
        goes_on.wait(60)

    # Which of two uploads the pool sees first is its own affair; that one of them goes on and one is refused is not.
    ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
    uploads = [eve.wire.begin("Publish", slow(), eve.session, seconds=60) for _ in range(2)]
    for upload in uploads:
        upload.add_done_callback(ended.put)
    try:
        refused = ended.get(timeout=50)
        answer = failure(refused.exception())
        assert answer.status is grpc.StatusCode.RESOURCE_EXHAUSTED, answer
        assert float(answer.retry_after) > 0
        assert [upload.done() for upload in uploads if upload is not refused] == [False]
        assert ada.publish({"problem.toml": b"x"}).code == "AR-P301"
    finally:
        goes_on.set()
        for upload in uploads:
            upload.cancel()


def test_row_46_what_may_not_be_published_is_not_stored(
    site: Any, ada: Any, eve: Any, sums: str, folder: Folder
) -> None:
    large = bytes(range(256)) * 2048
    before = {path.name for path in (site.pool.directory / "blobs").rglob("*")}
    answer = eve.publish({**folder(sums), "data/large": large})
    assert (answer.status, answer.code) == (grpc.StatusCode.PERMISSION_DENIED, "AR-P303")
    assert {path.name for path in (site.pool.directory / "blobs").rglob("*")} == before
    assert ada.problem(sums).revision == 1


@pytest.mark.parametrize(
    "name",
    ["../../evil", "a/b", "sums\\n", "SUMS", "ab", "a" * 65, "", "a.git", "x\\u0000y", "refs heads", "*", "été"],
)
def test_row_53_a_problem_with_a_name_that_leads_elsewhere(site: Any, eve: Any, folder: Folder, name: str) -> None:
    answer = eve.publish(folder(name))
    assert (answer.status, answer.code) == (grpc.StatusCode.INVALID_ARGUMENT, "AR-P301"), answer
    assert not list(site.pool.directory.parent.rglob("*evil*"))
    assert not [key for key in site.redis.keys("ar:problem:*") if b"sums" not in key]


def test_row_47_terminal_escapes_in_everything_that_is_shown(site: Any, ada: Any, eve: Any, folder: Folder) -> None:
    evil = "\\u001b]0;owned\\u0007\\u001b[2J\\u202e\\u009b31m"
    name = ada.opened(folder("escapes", title=f"Pretty{evil} title")).name
    note = evil.encode().decode("unicode_escape")
    x = eve.proposed(name, b"[9, 9]\n", note=f"a {note} note")
    assert x.state is ExperimentState.ACCEPTED
    done = site.pool.coordinator("experiments", "list", name)
    assert done.code == 0, done
    shown = [done.out, site.pool.log.read_text()]
    paths = (f"/p/{name}", f"/p/{name}/x/{x.id}", f"/p/{name}/atom.xml", f"/p/{name}/progress.svg",
             f"/api/v1/problems/{name}", f"/api/v1/experiments/{x.id}")  # fmt: skip
    shown += [httpx.get(site.pool.web + path).raise_for_status().text for path in paths]
    shown += [str(eve.experiment(x.id)), str(eve.problem(name))]
    for text in shown:
        assert not set(text) & set("\x1b\x07\x9b\u202e"), text[:200]


def test_row_49_a_publisher_cannot_state_a_baseline_or_verify(ada: Any, eve: Any, folder: Folder) -> None:
    files = folder("stated")
    files["problem.toml"] += b"baseline = 0.1\n"
    assert eve.publish(files).code == "AR-P301"
    assert eve.opened(folder("measured")).baseline == 3.0
    for method in ("Requeue", "Drain", "CreateToken", "SetBan", "ResolveHeld"):
        assert eve.call(method).status is grpc.StatusCode.PERMISSION_DENIED, method
    assert eve.call("SetState", problem="sums-of-others").code == "AR-P300"


def test_row_49_a_scorer_that_changes_its_mind_pauses_its_problem(ada: Any, eve: Any, folder: Folder) -> None:
    """A scorer that favours one text cannot make a fake win out of a worse incumbent that does not repeat."""
    files = folder("moody")
    files["score.py"] = (
        b"import json, os, random\n"
        b"numbers = json.load(open(os.environ['AR_MUTABLE']))\n"
        b"print(json.dumps({'total': sum(numbers) + random.SystemRandom().random()}))\n"
    )
    answer = eve.publish(files)
    assert answer.ok, answer
    card = eve.settled("moody")
    assert card.state is ProblemState.REFUSED
    assert any("seed" in f.message + f.fix for f in card.findings), card.findings


def test_row_54_no_address_in_a_problem_is_ever_visited(ada: Any, eve: Any, folder: Folder) -> None:
    visits: list[str] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            visits.append(self.path)
            self.send_response(204)
            self.end_headers()

    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/visited"
            files = folder("visits", title=url)
            files["program.md"] = f"# A sum\n![picture]({url})\n<img src={url}>\n".encode()
            files["score.py"] += (
                f"import urllib.request\ntry:\n  urllib.request.urlopen('{url}')\nexcept OSError: pass\n".encode()
            )
            name = eve.opened(files).name
            assert eve.proposed(name, b"[8, 8]\n", note=url, claimed=1.0).state is ExperimentState.ACCEPTED
        finally:
            server.shutdown()
            thread.join()
    assert not visits


def test_row_54_nothing_asked_for_shows_what_is_inside(site: Any, eve: Any, sums: str) -> None:
    strange = [
        "%00",
        "..%2f..%2fetc%2fpasswd",
        "%ff%fe",
        "x-" + "0" * 16,
        "x-" + "9" * 5000,
        "'\"<script>",
        "{{7*7}}",
        "%0d%0aX:1",
    ]
    paths = ["/", "/p/", "/api/v1/problems/", f"/p/{sums}/x/", f"/p/{sums}/", "/api/v1/experiments/", "/git/",
             f"/git/{sums}.git/", f"/p/{sums}/experiments?status=", f"/p/{sums}/experiments?before=", "/static/",
             "/leaderboard?by="]  # fmt: skip
    with httpx.Client(base_url=site.pool.web) as client:
        for path in paths:
            for text in strange:
                answer = client.get(path + text)
                assert answer.status_code < 500, path + text
                assert "Traceback" not in answer.text
                assert str(site.pool.directory) not in answer.text
                assert "X" not in answer.headers
    calls: list[tuple[str, dict[str, Any]]] = [
        ("ListExperiments", {"problem": sums, "page_token": "9" * 5000}),
        ("ListExperiments", {"problem": sums, "page_token": "²"}),
        ("ListExperiments", {"problem": sums, "limit": -(2**31)}),
        ("GetExperiment", {"id": "../" * 1000}),
        ("GetProblem", {"name": "\0"}),
        ("GetFile", {"problem": sums, "commit": "--help"}),
        ("GetFile", {"problem": sums, "commit": "HEAD"}),
        ("GetFile", {"problem": sums, "commit": "0" * 40}),
        ("GetLeaderboard", {"problem": sums, "order": 99}),
        ("Propose", {"problem": sums, "size": -1, "sha256": "0" * 64, "idempotency_key": "k"}),
        ("Propose", {"problem": sums, "idempotency_key": "k\n"}),
    ]
    for method, fields in calls:
        answer = eve.call(method, **fields)
        assert answer.status is not grpc.StatusCode.INTERNAL, (method, fields, answer)
        assert answer.status is not grpc.StatusCode.UNAVAILABLE, (method, fields, answer)
    log = [json.loads(line) for line in site.pool.log.read_text().splitlines()]
    assert all(line["event"] != "call failed" for line in log)
