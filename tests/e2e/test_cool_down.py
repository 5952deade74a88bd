"""A machine that cools down: its owner and the pool's operator both see it, and until when."""

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from ar_coordinator.store import Store, keys
from ar_coordinator.store.connection import now_ms

pytestmark = pytest.mark.timeout(600)

HOUR_MS = 3_600_000


def test_owner_and_operator_see_why_a_machine_waits(
    start_pool: Callable[..., Any], make_problem: Callable[..., Path], join: Callable[..., Any],
    records: Callable[[Any], AbstractContextManager[Store]], told: Callable[..., Any], until: Callable[..., Any],
    tmp_path: Path,
) -> None:  # fmt: skip
    pool = start_pool("--verifiers", "1")
    folder = make_problem("far-numbers", "found-numbers")
    # Nothing is better, so nothing is claimed, and no accept makes up for what is written down below.
    (folder / "numbers.json").write_text("[-31.5, 62.25, 8.75, -77.0, 44.5, 90.0, -12.25, 27.0, -58.5, 70.75]")
    pool.person(tmp_path / "ada", "ada").publish(folder)
    volunteer = join(pool, "eve")
    volunteer.until("scored")
    operator = ("--data", str(pool.directory))

    def workers() -> dict[str, Any]:
        found = told("ar_coordinator", "workers", "list", "--json", *operator).document["workers"]
        return next(one for one in found if one["contributor"] == "eve")

    machine = workers()
    assert machine["grade"] == volunteer.all("joined")[0]["grade"]
    assert machine["cool_until"] is None
    with records(pool) as store:
        # As if its claims had not held for long.
        trust = {"cool_until": now_ms() + HOUR_MS, "failed_in_a_row": 9}
        store.connection.text.hset(keys.trust(machine["id"]), mapping=trust)
    waiting = volunteer.until("waiting", lambda event: event["reasons"] == ["cool_down"])
    assert volunteer.events[waiting - 1]["seconds"] > 60
    status = until(
        lambda: (
            (s := told("ar_worker", "status", "--json", home=volunteer.home).document)["state"] == "waiting" and s
        ),
        60,
    )
    assert "claims of this machine did not hold" in status["reason"]
    assert "did not hold" in told("ar_worker", "status", home=volunteer.home).out
    machine = workers()
    assert machine["claims_failed"] == 9
    assert machine["cool_until"] is not None
    line = next(
        line for line in told("ar_coordinator", "workers", "list", *operator).out.splitlines() if "eve" in line
    )
    assert f"the last 9 did not; cools down until {machine['cool_until'][11:19]}" in line
    assert volunteer.end(signal.SIGTERM) == 0, volunteer.errors()
