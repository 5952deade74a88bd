"""Promise 4: the machine belongs to its owner. Ctrl-C in the foreground, whatever the evaluation thinks of it."""

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest

from ar_coordinator.store import Store, keys
from ar_core.lifecycle import LeaseState

PROBLEM = "stubborn"
_SCORE = """\
import json, os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
numbers = json.load(open(os.environ["AR_MUTABLE"]))
if type(numbers) is not list or not all(type(one) in (int, float) and -100 <= one <= 100 for one in numbers):
    sys.exit("not numbers from -100 to 100")
while len(set(numbers)) > 1:
    time.sleep(1)
print("distance: 1000")
"""

Records = Callable[[Any], AbstractContextManager[Store]]


@pytest.fixture(scope="module")
def pool(
    start_pool: Callable[..., Any], make_problem: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A pool with one problem: its scorer has a score for the published numbers, and no end for any others."""
    running = start_pool("--verifiers", "1")
    running.ada = running.person(tmp_path_factory.mktemp("ada"), "ada")
    folder = make_problem("far-numbers", PROBLEM, time_budget='"10m"')
    (folder / "score.py").write_text(_SCORE)
    running.ada.publish(folder)
    return running


def test_ctrl_c_in_the_middle_of_an_evaluation_that_ignores_signals(
    pool: Any, join: Callable[..., Any], records: Records, until: Callable[..., Any]
) -> None:
    volunteer = join(pool, "eve")
    volunteer.until("proposed")
    family = volunteer.until_a_scorer_runs()
    (lease,) = volunteer.all("leased")
    # As a terminal does it: everybody in the foreground gets the signal.
    os.killpg(volunteer.process.pid, signal.SIGINT)
    assert (volunteer.end(), volunteer.errors()) == (0, "")
    assert psutil.wait_procs(family, timeout=60)[1] == []
    assert [event["reason"] for event in volunteer.all("released")] == ["stopped by its owner"]
    # The lease is back because it was given back: by itself it would have lasted for another minute.
    with records(pool) as store:
        until(lambda: store.leases.state(lease["lease"]) is not LeaseState.GRANTED)
        assert store.leases.state(lease["lease"]) is LeaseState.RELEASED
        assert store.leases.on_problem(PROBLEM) == []
        assert store.connection.text.zcard(keys.LEASES) == 0
    # A candidate that was stopped has not failed.
    assert volunteer.all("scored") == volunteer.all("reported") == []
    assert pool.ada.pool("show", PROBLEM, "--json").document["experiments"] == 0


def test_a_second_signal_ends_it_at_once(pool: Any, join: Callable[..., Any], records: Records) -> None:
    volunteer = join(pool, "mallory")
    volunteer.until("proposed")
    family = volunteer.until_a_scorer_runs()
    # Both are there when it looks, so the second comes before the first was dealt with, on any machine.
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        volunteer.process.send_signal(number)
    assert (volunteer.end(), volunteer.errors()) == (130, "")
    assert psutil.wait_procs(family, timeout=60)[1] == []
    # There was no time to give the lease back; the machine's next greeting does.
    (lease,) = volunteer.all("leased")
    again = volunteer.again("start", "--slots", "1")
    again.until("leased")
    assert again.all("waiting") == []
    with records(pool) as store:
        assert store.leases.state(lease["lease"]) is not LeaseState.GRANTED
    assert again.end(signal.SIGINT) == 0
