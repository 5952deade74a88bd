"""An impossible problem on a real pool: no real improvement exists, so that any accept would be a cheat that worked.

Also row 44 of the threats, which needs a pool: bytes that change after a volunteer has been told their name.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ar_core.candidate import sha256
from ar_core.lifecycle import ExperimentState
from ar_proto.v1 import enrolment_pb2

CHEATS = (
    "row_01_fake_score_and_exit", "row_01_fake_score_beside", "row_03_printer_replaced", "row_04_lying_equality",
    "row_06_result_descriptors", "row_07_second_score_at_exit", "row_07_daemon_that_rewrites",
    "row_08_hidden_data_seed_environment", "row_10_modules_in_the_way", "row_14_shared_input_changed",
    "row_20_kill_and_trace", "row_22_network", "row_24_load_left_behind", "row_25_links_in_the_results",
    "row_26_code_in_disguise",
)  # fmt: skip
BY_COMMAND = CHEATS[:2]
TRIED = 12
PERFECT = b"""

def answer(numbers):
    return sorted(numbers)
"""


@pytest.fixture(scope="module")
def impossible(ada: Any, victims: Callable[[str], dict[str, bytes]]) -> str:
    card = ada.opened(victims("impossible"))
    assert card.baseline == 60
    return str(card.name)


@pytest.fixture(scope="module")
def verdicts(
    eve: Any, site: Any, impossible: str, host: Any, attack_named: Any, tmp_path_factory: Any
) -> dict[str, Any]:
    """Propose every cheat, two by the command and the rest as any program may; return what became of each."""
    sources = {n: host.source(attack_named(n), "artifact", os.getpid(), PERFECT.decode()) for n in CHEATS}
    folder = tmp_path_factory.mktemp("cheats")
    person = site.pool.person(folder / "home", "mallory")
    asked = {n: eve.propose(impossible, sources[n]).value.experiment.id for n in CHEATS if n not in BY_COMMAND}
    for name in BY_COMMAND:
        (folder / "solution.py").write_bytes(sources[name])
        done = person.propose(impossible, folder / "solution.py")
        assert done.code != 0, done
        asked[name] = done.document["id"]
    return {name: eve.verdict(experiment) for name, experiment in asked.items()}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_earns_nothing(
    name: str, verdicts: dict[str, Any], host: Any, record_attack: Any, attack_named: Any
) -> None:
    attack, x = attack_named(name), verdicts[name]
    told = x.feedback + x.explanation + str(x.secondary if hasattr(x, "secondary") else "")
    read, connections = told.count("canary-home"), host.connections()
    accepted = x.state is ExperimentState.ACCEPTED
    verdict = x.state.value + (f": {x.reason.value.replace('_', ' ')}" if x.reason else "")
    record_attack(
        row=attack.row, title=attack.title, kind="artifact", backend="a pool", verdict=verdict, seconds=0.0,
        forged=accepted, read=read, connections=connections,
    )  # fmt: skip
    assert x.state is ExperimentState.REJECTED, x
    assert (read, connections) == (0, 0)


def test_row_26_what_is_disguised_is_pointed_out_on_its_page(
    site: Any, verdicts: dict[str, Any], impossible: str
) -> None:
    def page(name: str) -> str:
        return httpx.get(f"{site.pool.web}/p/{impossible}/x/{verdicts[name].id}").raise_for_status().text

    assert re.search(r"Worth a second look.*runs text as code", page("row_26_code_in_disguise"))
    assert "Worth a second look" not in page("row_14_shared_input_changed")


def test_a_volunteer_finds_nothing_either(
    verdicts: dict[str, Any], ada: Any, eve: Any, site: Any, impossible: str, command: Any, tmp_path: Path,
    folder: Callable[..., dict[str, bytes]], record_attack: Any,
) -> None:  # fmt: skip
    token = site.token(enrolment_pb2.ROLE_WORKER)
    done = command(
        "ar_worker", "join", site.pool.grpc, "--token", token, "--problems", impossible, "--slots", "1",
        "--max-experiments", str(TRIED), "--seed", "1", "--json", home=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done
    assert sum(event["event"] == "scored" for event in done.documents) == TRIED, done
    states = eve.states(impossible)
    accepted = states.count(ExperimentState.ACCEPTED)
    card = ada.problem(impossible)
    honest = eve.proposed(ada.opened(folder("possible")).name, b"[50]\n")
    record_attack(
        row=23, title=f"{card.experiments} tries at a problem that cannot be improved.", kind="artifact",
        backend="a pool", verdict=f"{accepted} accepted", seconds=0.0, forged=accepted,
        harmed=honest.state is not ExperimentState.ACCEPTED,
    )  # fmt: skip
    assert accepted == 0
    assert (card.best, card.accepted) == (60, 0)
    assert honest.state is ExperimentState.ACCEPTED, "the pool still knows a real gain"
    rows = eve.call("GetLeaderboard", problem=impossible).value.rows
    assert [(row.accepted, row.gain) for row in rows] == [(0, 0.0)] * len(rows)


def test_row_44_a_scorer_that_changed_after_it_was_named_is_not_run(
    ada: Any, eve: Any, site: Any, folder: Callable[..., dict[str, bytes]], command: Any, tmp_path: Path
) -> None:
    files = folder("swapped")
    files["score.py"] += b"# this one only\n"
    name = ada.opened(files).name
    key = f"ar:blob:{sha256(files['score.py'])}"
    assert site.redis.get(key) == files["score.py"]
    site.redis.set(key, files["score.py"].replace(b"only", b"anew"))
    done = command(
        "ar_worker", "join", site.pool.grpc, "--token", site.token(enrolment_pb2.ROLE_WORKER), "--problems", name,
        "--slots", "1", "--exit-when-idle", "1s", "--json", home=tmp_path,
    )  # fmt: skip
    events = [event["event"] for event in done.documents]
    assert "leased" in events, done
    assert "scored" not in events, done
    assert json.dumps(done.documents).count("anew") == 0
    site.redis.set(key, files["score.py"])
    assert eve.proposed(name, b"[9, 9]\n").state is ExperimentState.ACCEPTED
