"""Donated machines and a real pool: what is reported is counted, what is claimed is judged, nothing stays behind."""

import json
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

ZLIB = ("--slots", "1", "--problems", "zlib-dictionary")


@pytest.fixture(scope="module")
def pool(
    start_pool: Callable[..., Any],
    problems: Path,
    sleepy: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    running = start_pool("--verifiers", "1")
    running.ada = running.person(tmp_path_factory.mktemp("ada"), "ada")
    running.ada.publish(problems / "zlib-dictionary")
    running.ada.publish(sleepy(50))
    running.ada.publish(sleepy(0.1, "one-way-up", "0"))
    return running


def shown(pool: Any) -> dict[str, Any]:
    return pool.ada.card("zlib-dictionary")


def test_a_machine_joins_improves_the_best_and_everything_it_reported_is_counted(
    pool: Any, donate: Callable[..., Any], tmp_path: Path
) -> None:
    before = shown(pool)["experiments"]
    machine = donate(
        tmp_path, "join", pool.grpc, "--token", pool.token("worker"), "--name", "eve", *ZLIB,
        "--max-experiments", "60", "--seed", "1",
    )  # fmt: skip
    code, err = machine.end()
    assert (code, err) == (0, "")
    joined = machine.events("joined")[0]
    assert (joined["schema"], joined["name"], joined["grade"] in {"A", "B"}) == ("ar.event/1", "eve", True)
    assert machine.events("leased")[0]["problem"] == "zlib-dictionary"
    assert len(machine.events("scored")) == 60
    assert sum(event["experiments"] for event in machine.events("reported")) == 60
    assert "accepted" in {event["status"] for event in machine.events("verdict")}
    assert machine.seen[-1]["event"] == "stopped"
    after = shown(pool)
    assert after["experiments"] - before == 60
    assert after["best"] < after["baseline"]
    tried = pool.ada.log("zlib-dictionary")
    accepted = [one for one in tried if one["status"] == "accepted" and one["contributor"] == "eve"]
    assert accepted
    assert accepted[0]["agent"] == "tuner"
    assert accepted[0]["worker"] == joined["machine"]
    assert list((tmp_path / "worker" / "reports").glob("*/*.report")) == []
    secrets = list((tmp_path / "worker").rglob("*.pem"))
    assert [stat.S_IMODE(path.stat().st_mode) for path in secrets] == [0o600]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_an_evaluation_leaves_no_process_and_gives_the_lease_back(
    number: signal.Signals, pool: Any, donate: Callable[..., Any], tmp_path: Path
) -> None:
    only = ("--slots", "1", "--problems", "sleepy-sum")
    machine = donate(tmp_path, "join", pool.grpc, "--token", pool.token("worker"), *only)
    machine.until("proposed")
    machine.until_a_room_runs()
    family = machine.family()
    machine.signal(number)
    code, err = machine.end()
    assert (code, err) == (0, "")
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
    assert [event["reason"] for event in machine.events("released")][-1] == "stopped by its owner"
    # Its one slot is free again for the pool too: another run gets a lease at once.
    again = donate(tmp_path, "start", *only)
    again.until("leased")
    assert again.events("waiting") == []
    again.signal(signal.SIGTERM)
    assert again.end()[0] == 0


def test_a_pool_that_is_frozen_does_not_keep_the_machine(
    pool: Any, donate: Callable[..., Any], tmp_path: Path
) -> None:
    machine = donate(tmp_path, "join", pool.grpc, "--token", pool.token("worker"), *ZLIB)
    machine.until("scored")
    os.kill(pool.pid, signal.SIGSTOP)
    try:
        machine.signal(signal.SIGTERM)
        code, _ = machine.end()
    finally:
        os.kill(pool.pid, signal.SIGCONT)
    assert code == 0
    kept = list((tmp_path / "worker" / "reports").glob("*/*.report"))
    assert kept, "what the pool has not confirmed waits on disk"
    # What was not confirmed is confirmed by the next run, once.
    later = donate(tmp_path, "start", *ZLIB, "--max-experiments", "1")
    assert later.end()[0] == 0
    assert list((tmp_path / "worker" / "reports").glob("*/*.report")) == []
    scored = len(machine.events("scored")) + len(later.events("scored"))
    reported = [*machine.events("reported"), *later.events("reported")]
    assert sum(event["experiments"] for event in reported) == scored


def test_a_machine_that_is_killed_loses_nothing_that_it_had_kept(
    pool: Any, donate: Callable[..., Any], tmp_path: Path
) -> None:
    before = shown(pool)["experiments"]
    machine = donate(tmp_path, "join", pool.grpc, "--token", pool.token("worker"), *ZLIB)
    machine.until("reported")
    family = machine.family()
    machine.signal(signal.SIGKILL)
    machine.end()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []
    later = donate(tmp_path, "start", *ZLIB, "--max-experiments", "2", "--for", "60s")
    assert later.end()[0] == 0
    confirmed = sum(event["experiments"] for run in (machine, later) for event in run.events("reported"))
    assert shown(pool)["experiments"] - before >= confirmed


def test_somebody_elses_better_version_is_gone_on_from(pool: Any, donate: Callable[..., Any], tmp_path: Path) -> None:
    token = pool.token("worker")
    machine = donate(tmp_path, "join", pool.grpc, "--token", token, "--slots", "1", "--problems", "one-way-up")
    assert machine.until("scored")["parent_score"] == 3.0
    better = tmp_path / "better.json"
    better.write_text("[9, 9]")
    ben = pool.person(tmp_path / "ben", "ben")
    assert ben.propose("one-way-up", better).document["status"] == "accepted"
    while (parent := machine.until("scored")["parent_score"]) == 3.0:
        pass
    assert parent == 18.0
    machine.signal(signal.SIGTERM)
    assert machine.end()[0] == 0


def test_two_workers_in_one_home_are_one_too_many(pool: Any, donate: Callable[..., Any], tmp_path: Path) -> None:
    machine = donate(tmp_path, "join", pool.grpc, "--token", pool.token("worker"), *ZLIB)
    machine.until("leased")
    second = donate(tmp_path, "start", *ZLIB)
    code, err = second.end()
    assert code == 2
    assert "another ar-worker runs" in json.loads(err)["error"]["message"]
    machine.signal(signal.SIGTERM)
    assert machine.end()[0] == 0


def test_without_work_it_says_why_and_ends_when_its_owner_said_so(
    pool: Any, donate: Callable[..., Any], tmp_path: Path
) -> None:
    token = pool.token("worker")
    nothing = ("--problems", "no-such-problem", "--exit-when-idle", "1s", "--slots", "1")
    machine = donate(tmp_path, "join", pool.grpc, "--token", token, *nothing)
    assert machine.end() == (0, "")
    assert machine.events("waiting")[0]["reasons"] == ["no_problem_matches"]
    # Joining again with the token that is used up is no trouble: it is the same machine.
    again = donate(tmp_path, "join", pool.grpc, "--token", token, *nothing)
    assert again.end() == (0, "")
    assert again.events("joined")[0]["machine"] == machine.events("joined")[0]["machine"]


def test_a_publishers_token_donates_no_machine(pool: Any, donate: Callable[..., Any], tmp_path: Path) -> None:
    machine = donate(tmp_path, "join", pool.grpc, "--token", pool.token("publisher"))
    code, err = machine.end()
    assert (code, json.loads(err)["error"]["code"]) == (4, "AR-I206")


def test_it_is_seen_and_stopped_from_another_terminal_and_leaves_for_good(
    pool: Any, donate: Callable[..., Any], command: Callable[..., Any], tmp_path: Path
) -> None:
    home = tmp_path / "home"

    def ask(*words: str) -> Any:
        return command("ar_worker", *words, "--json", home=home)

    enrolled = command(
        "ar_worker", "join", pool.grpc, "--token", pool.token("worker"), "--name", "zoe", "--no-start", "--json",
        home=home,
    )  # fmt: skip
    assert (enrolled.code, enrolled.document["contributor"]) == (0, "zoe")
    assert ask("status").document["state"] == "stopped"
    machine = donate(home, "start", "--slots", "1", "--problems", "one-way-up")
    machine.until("reported")
    assert ask("whoami").document["role"] == "worker"
    assert ask("leave").code == 2, "a worker that runs has its identity"
    status = ask("status").document
    assert (status["state"], status["name"], status["slots"]) == ("working", "zoe", 1)
    assert status["grade"] in {"A", "B"}
    assert ask("stop").document["stopped"] is True
    assert machine.end()[0] == 0
    status = ask("status").document
    assert status["state"] == "stopped"
    assert status["total"]["experiments"] == sum(event["experiments"] for event in machine.events("reported"))
    assert ask("leave").document["contributor"] == "zoe"
    assert ask("start").code == 3
    assert list(home.rglob("*.pem")) == []


def test_a_pool_that_is_killed_and_comes_back_finds_its_machine_at_work(
    pool: Any, donate: Callable[..., Any], tmp_path: Path
) -> None:
    token = pool.token("worker")
    machine = donate(tmp_path, "join", pool.grpc, "--token", token, *ZLIB)
    machine.until("reported")
    pool.kill()
    assert machine.until("waiting")["reasons"] == ["no_connection"]
    machine.until("scored")
    pool.start()
    machine.until("reported")
    assert len(machine.events("leased")) == 1, "the lease was resumed"
    machine.signal(signal.SIGTERM)
    assert machine.end() == (0, "")
    reported = sum(event["experiments"] for event in machine.events("reported"))
    assert reported == len(machine.events("scored"))
