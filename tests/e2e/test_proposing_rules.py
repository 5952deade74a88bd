"""Around a verdict: the same request twice, too many of them, and problems that close, end or come again."""

import json
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from ar_core.candidate import sha256

Proposer = Callable[..., Any]
STATES = {"EXPERIMENT_STATE_RECORDED": 2, "EXPERIMENT_STATE_QUEUED": 3, "EXPERIMENT_STATE_REJECTED": 6}


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool()


@pytest.fixture(scope="module")
def ada(pool: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return pool.person(tmp_path_factory.mktemp("ada"), "ada")


@pytest.fixture(scope="module")
def bob(pool: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return pool.person(tmp_path_factory.mktemp("bob"), "bob", "worker")


@pytest.fixture
def ar_pool(told: Callable[..., Any]) -> Callable[..., Any]:
    """Run `ar-pool … --json` as somebody."""
    return lambda person, *arguments: told("ar_client", *arguments, "--json", home=person.home)


@pytest.fixture
def publish(ar_pool: Callable[..., Any], make_problem: Callable[..., Path]) -> Callable[..., Path]:
    """Publish a problem under a new name; returns its folder."""

    def make(person: Any, name: str, **lines: str) -> Path:
        folder = make_problem("small-sum", name, **lines)
        done = ar_pool(person, "publish", str(folder))
        assert done.code == 0, done
        return folder

    return make


@pytest.fixture(scope="module")
def wire(pool: Any, open_wire: Callable[..., Any]) -> Any:
    return open_wire(pool)


@pytest.fixture(scope="module")
def proposer(wire: Any, member_of: Callable[..., Any]) -> Callable[..., Proposer]:
    """Propose over the wire as somebody."""

    def of(person: Any) -> Proposer:
        session = wire.session(member_of(person.home))

        def propose(problem: str, text: str, *, key: str = "", **fields: Any) -> Any:
            data = text.encode()
            given = {"content": data, "sha256": sha256(data), "size": len(data), **fields}
            return wire.call(
                "Propose", session=session, problem=problem, idempotency_key=key or secrets.token_hex(16), **given
            )

        return propose

    return of


@pytest.fixture
def drained(wire: Any, pool: Any, operator_session: Callable[..., str]) -> Callable[[bool], None]:
    """Stop verifications from starting, or let them go on."""
    operator = operator_session(pool)

    def drain(stop: bool) -> None:
        assert wire.call("Drain", session=operator, drain=stop).value.draining is stop

    return drain


def numbers(*values: float) -> str:
    return json.dumps(values)


def test_the_same_key_is_the_same_experiment(
    ada: Any, bob: Any, publish: Callable[..., Path], proposer: Callable[..., Proposer], ar_pool: Callable[..., Any]
) -> None:
    publish(ada, "twice")
    propose = proposer(bob)
    first = propose("twice", numbers(3, 3), key="the-key").value.experiment
    again = propose("twice", numbers(3, 3), key="the-key").value.experiment
    assert again.id == first.id
    # Also when the bytes are other ones: the key says that it is the same request.
    other = propose("twice", numbers(4, 4), key="the-key").value.experiment
    assert other.id == first.id
    # Somebody else's key is another key.
    theirs = proposer(ada)("twice", numbers(3, 3), key="the-key").value.experiment
    assert theirs.id != first.id
    assert ar_pool(ada, "show", "twice").document["experiments"] == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "no key at all"},
        {"key": "k" * 65},
        {"sha256": "0" * 64},
        {"sha256": "what"},
        {"content": None, "size": 3},
        {"content": None, "size": -3},
    ],
    ids=str,
)
def test_a_request_that_makes_no_sense(
    ada: Any, bob: Any, publish: Callable[..., Path], proposer: Callable[..., Proposer], fields: dict[str, Any],
    ar_pool: Callable[..., Any],
) -> None:  # fmt: skip
    if ar_pool(ada, "show", "senseless").code:
        publish(ada, "senseless")
    answer = proposer(bob)("senseless", numbers(3, 3), **fields)
    assert (answer.status, answer.code) == (grpc.StatusCode.INVALID_ARGUMENT, "AR-A101")
    assert ar_pool(ada, "show", "senseless").document["experiments"] == 0


def test_a_claim_that_is_no_number_and_a_note_that_is_a_page(
    ada: Any, publish: Callable[..., Path], proposer: Callable[..., Proposer], ar_pool: Callable[..., Any]
) -> None:
    publish(ada, "claims")
    for claimed in (float("nan"), float("inf")):
        note = "first\nsecond\x1b[31m\u202e " + "x" * 5000
        answer = proposer(ada)("claims", numbers(1, 1), claimed=claimed, note=note)
        assert answer.status is grpc.StatusCode.OK
    for line in map(json.loads, ar_pool(ada, "log", "claims").out.splitlines()):
        assert line["claimed"] is None
        assert len(line["note"]) < 500
        assert not set("\n\x1b\u202e") & set(line["note"])


def test_sixty_proposals_an_hour(
    ada: Any, bob: Any, publish: Callable[..., Path], proposer: Callable[..., Proposer], ar_pool: Callable[..., Any],
    tmp_path: Path,
) -> None:  # fmt: skip
    publish(ada, "quota")
    propose = proposer(bob)
    states = [propose("quota", numbers(1)).value.experiment.state for _ in range(60)]
    assert states == [STATES["EXPERIMENT_STATE_QUEUED"]] + [STATES["EXPERIMENT_STATE_RECORDED"]] * 59
    answer = propose("quota", numbers(5, 5))
    assert (answer.status, answer.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "AR-X401")
    assert 3000 < float(answer.retry_after) <= 3600
    # It holds for a file that would be rejected on the spot, too, and the command says so at once.
    assert propose("quota", "", content=None, sha256="0" * 64, size=10_000).code == "AR-X401"
    path = tmp_path / "numbers.json"
    path.write_text(numbers(5, 5))
    done = ar_pool(bob, "propose", "quota", "--file", str(path))
    assert (done.code, done.error["code"]) == (5, "AR-X401")
    assert done.error["retry_after"] > 3000
    assert ar_pool(ada, "show", "quota").document["experiments"] == 60
    # It is a limit for one problem, and none for the problem's own publisher.
    publish(ada, "quota-of-another")
    assert propose("quota-of-another", numbers(1)).status is grpc.StatusCode.OK
    own = proposer(ada)
    assert {own("quota", numbers(1)).status for _ in range(65)} == {grpc.StatusCode.OK}
    assert own("quota", numbers(5, 5)).value.experiment.state == STATES["EXPERIMENT_STATE_QUEUED"]


def test_a_paused_problem_takes_nothing_and_goes_on_where_it_was(
    pool: Any, ada: Any, publish: Callable[..., Path], drained: Callable[[bool], None], ar_pool: Callable[..., Any],
    told: Callable[..., Any], tmp_path: Path, until: Callable[..., Any],
) -> None:  # fmt: skip
    publish(ada, "paused")
    publish(ada, "beside")
    path = tmp_path / "numbers.json"
    path.write_text(numbers(4, 4))
    drained(True)
    queued = ar_pool(ada, "propose", "paused", "--file", str(path), "--no-wait")
    assert (queued.code, queued.document["status"]) == (0, "queued")
    done = ar_pool(ada, "pause", "paused", "--reason", "looking into it")
    assert (done.code, done.document["state"], done.document["state_reason"]) == (0, "paused", "looking into it")
    done = ar_pool(ada, "propose", "paused", "--file", str(path))
    assert (done.code, done.error["code"]) == (5, "AR-P305")
    assert "looking into it" in done.error["message"]
    drained(False)
    # What came later on another problem gets its verdict; what is queued here waits.
    assert ar_pool(ada, "propose", "beside", "--file", str(path)).document["status"] == "accepted"
    assert [x["status"] for x in map(json.loads, ar_pool(ada, "log", "paused").out.splitlines())] == ["queued"]
    assert ar_pool(ada, "resume", "paused").document["state"] == "open"

    def verdict() -> str:
        line: dict[str, str] = json.loads(ar_pool(ada, "log", "paused").out)
        return line["status"] if line["status"] not in {"queued", "verifying"} else ""

    assert until(verdict) == "accepted"
    # The operator has the same hand on it; and doing it twice is the same as once.
    where = ["--data", str(pool.directory), "--json"]
    for command, state in (("pause", "paused"), ("pause", "paused"), ("resume", "open"), ("resume", "open")):
        assert told("ar_coordinator", "problems", command, "paused", *where).document["state"] == state
        assert ar_pool(ada, "show", "paused").document["state"] == state


def test_a_withdrawn_problem_is_closed_for_good(
    ada: Any, publish: Callable[..., Path], drained: Callable[[bool], None], ar_pool: Callable[..., Any], pool: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    folder = publish(ada, "withdrawn")
    path = tmp_path / "numbers.json"
    path.write_text(numbers(4, 4))
    drained(True)
    assert ar_pool(ada, "propose", "withdrawn", "--file", str(path), "--no-wait").code == 0
    done = ar_pool(ada, "withdraw", "withdrawn", "--reason", "it was a mistake")
    assert (done.code, done.document["state"]) == (0, "withdrawn")
    drained(False)
    line = json.loads(ar_pool(ada, "log", "withdrawn").out)
    assert (line["status"], line["reason"]) == ("withdrawn", "withdrawn")
    refusals = {
        ("propose", "withdrawn", "--file", str(path)): (5, "AR-P304"),
        ("publish", str(folder)): (5, "AR-P304"),
        ("resume", "withdrawn"): (2, "AR-P306"),
        ("pause", "withdrawn"): (2, "AR-P306"),
    }
    for arguments, expected in refusals.items():
        done = ar_pool(ada, *arguments)
        assert (done.code, done.error["code"]) == expected, arguments
    # Its results stay, only the list is shorter.
    assert "withdrawn" not in [p["problem"] for p in ar_pool(ada, "problems").document["problems"]]
    assert "withdrawn" in [p["problem"] for p in ar_pool(ada, "problems", "--all").document["problems"]]
    assert httpx.get(f"{pool.web}/p/withdrawn").status_code == 200
    assert ar_pool(ada, "best", "withdrawn").code == 0


def test_only_its_publisher_steers_a_problem(
    pool: Any, ada: Any, bob: Any, publish: Callable[..., Path], ar_pool: Callable[..., Any], tmp_path: Path
) -> None:
    folder = publish(ada, "adas-own")
    eve = pool.person(tmp_path / "eve", "eve")
    for command in ("pause", "resume", "withdraw"):
        done = ar_pool(eve, command, "adas-own")
        assert (done.code, done.error["code"]) == (4, "AR-P303")
        done = ar_pool(bob, command, "adas-own")
        assert (done.code, done.error["code"]) == (4, "AR-I206")
    done = ar_pool(eve, "publish", str(folder))
    assert (done.code, done.error["code"]) == (4, "AR-P303")
    shown = ar_pool(eve, "show", "adas-own").document
    assert (shown["state"], shown["revision"], shown["publisher"]) == ("open", 1, "ada")


def test_a_further_revision_starts_from_the_best_so_far(
    pool: Any, ada: Any, publish: Callable[..., Path], ar_pool: Callable[..., Any], tmp_path: Path
) -> None:
    folder = publish(ada, "revised")
    path = tmp_path / "numbers.json"

    def propose(*values: float) -> dict[str, Any]:
        path.write_text(numbers(*values))
        document: dict[str, Any] = ar_pool(ada, "propose", "revised", "--file", str(path)).document
        return document

    assert propose(4, 4)["status"] == "accepted"
    assert propose(1, 1)["reason"] == "no_improvement"
    first = ar_pool(ada, "show", "revised").document
    # A locked file changes what a score means, so nothing is compared across: the best is measured again.
    scorer = folder / "score.py"
    scorer.write_text(scorer.read_text().replace("sum(numbers)", "2 * sum(numbers)"))
    done = ar_pool(ada, "publish", str(folder))
    assert done.code == 0, done
    assert (done.document["revision"], done.document["state"], done.document["baseline"]) == (2, "open", 16.0)
    second = ar_pool(ada, "show", "revised").document
    assert (second["revision"], second["best"], second["baseline"]) == (2, 16.0, 16.0)
    assert (second["accepted"], second["experiments"]) == (1, 2)
    assert second["head"] != first["head"]
    assert second["locked_digest"] != first["locked_digest"]
    assert ar_pool(ada, "best", "revised", "-o", str(tmp_path / "best.json")).code == 0
    assert json.loads((tmp_path / "best.json").read_text()) == [4, 4]
    (row,) = ar_pool(ada, "leaderboard", "revised").document["rows"]
    assert (row["accepted"], row["gain"], row["share"]) == (1, 0, 0), "a gain of another scorer is none of this one's"

    # The best so far is the baseline, so it is no news; what lost in the first revision may try again.
    assert propose(4, 4)["reason"] == "duplicate"
    again = propose(1, 1)
    assert (again["reason"], again["verified"], again["incumbent"]) == ("no_improvement", 4.0, 16.0)
    better = propose(5, 5)
    assert (better["status"], better["verified"], better["incumbent"]) == ("accepted", 20.0, 16.0)
    (row,) = ar_pool(ada, "leaderboard", "revised").document["rows"]
    assert (row["accepted"], row["gain"], row["share"]) == (2, 4, 1)
    assert [x["revision"] for x in map(json.loads, ar_pool(ada, "log", "revised").out.splitlines())] == [
        2,
        2,
        2,
        1,
        1,
    ]

    # A revision that is refused leaves everything as it was. It is the pool's best file that it did not fit.
    scorer.write_text("raise SystemExit(1)\n")
    done = ar_pool(ada, "publish", str(folder))
    assert (done.code, done.document["state"]) == (9, "refused"), done
    (finding,) = (f for f in done.document["findings"] if f["severity"] == "error")
    assert finding["message"].startswith("with the pool's best file so far as numbers.json: run 1 of the baseline")
    assert "ar-pool best revised -o numbers.json" in finding["fix"]
    third = ar_pool(ada, "show", "revised").document
    assert (third["state"], third["revision"], third["best"]) == ("open", 2, 20.0)
    assert propose(6, 6)["status"] == "accepted"
    assert "Traceback" not in pool.log.read_text()


def test_publishing_again_what_changes_no_score(
    pool: Any, ada: Any, publish: Callable[..., Path], ar_pool: Callable[..., Any], told: Callable[..., Any],
    tmp_path: Path,
) -> None:  # fmt: skip
    folder = publish(ada, "retold")
    path = tmp_path / "numbers.json"

    def propose(*values: float) -> dict[str, Any]:
        path.write_text(numbers(*values))
        document: dict[str, Any] = ar_pool(ada, "propose", "retold", "--file", str(path)).document
        return document

    assert propose(4, 4)["status"] == "accepted"
    assert propose(1, 1)["reason"] == "no_improvement"
    first, standing = ar_pool(ada, "show", "retold").document, ar_pool(ada, "leaderboard", "retold").document["rows"]

    done = told("ar_client", "publish", str(folder), home=ada.home)
    assert (done.code, "Nothing changed, revision 1 stays" in done.err) == (0, True), done
    assert ar_pool(ada, "publish", str(folder)).document["baseline"] == first["baseline"]
    assert ar_pool(ada, "show", "retold").document == first

    (folder / "program.md").write_text("# A sum, told better\n")
    manifest = folder / "problem.toml"
    manifest.write_text(manifest.read_text().replace('"A small sum"', '"A sum, retold"'))
    done = told("ar_client", "publish", str(folder), home=ada.home)
    assert (done.code, "its scores go on" in done.err, "retold, revision 2: open" in done.out) == (0, True, True), (
        done
    )
    second = ar_pool(ada, "show", "retold").document
    assert second["title"] == "A sum, retold"
    for same in ("baseline", "best", "accepted", "experiments", "contributors", "state"):
        assert second[same] == first[same], same
    assert ar_pool(ada, "leaderboard", "retold").document["rows"] == standing
    page = httpx.get(f"{pool.web}/p/retold").raise_for_status().text
    assert "told better" in page
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", f"{pool.web}/git/retold.git", str(clone)], check=True, timeout=60)
    assert (clone / "program.md").read_text() == "# A sum, told better\n"
    assert json.loads((clone / "numbers.json").read_text()) == [4, 4]

    # It goes on where it was: what lost stays lost, and a gain is one over the best so far.
    assert propose(1, 1)["reason"] == "duplicate"
    better = propose(5, 5)
    assert (better["status"], better["incumbent"], better["gain"]) == ("accepted", 8.0, 2.0)
    (row,) = ar_pool(ada, "leaderboard", "retold").document["rows"]
    assert (row["accepted"], row["gain"], row["share"]) == (2, 10 - first["baseline"], 1)
    assert "Traceback" not in pool.log.read_text()


def test_a_start_that_no_proposal_could_keep_is_refused(
    ada: Any, make_problem: Callable[..., Path], ar_pool: Callable[..., Any]
) -> None:
    folder = make_problem("small-sum", "unseen")
    start = (folder / "numbers.json").read_text()
    # The scorer does not mind.
    scorer = (folder / "score.py").read_text()
    (folder / "score.py").write_text(scorer.replace("loads(text)", r"loads(text.replace('\u202e', ''))"))
    (folder / "numbers.json").write_text(f"\n{start.strip()}\u202e\n")
    for command in ("check", "publish"):
        done = ar_pool(ada, command, str(folder))
        assert done.code == 9, done
        (finding,) = (f for f in done.document["findings"] if f["severity"] == "error")
        assert "numbers.json: line 2 has the bidirectional character U+202E" in finding["message"]
    assert ar_pool(ada, "show", "unseen").document["state"] == "refused"
