"""A publisher that asks for more after a volunteer agreed: nothing of it runs before the machine's owner says yes."""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)

NAME = "growing-wishes"


@pytest.fixture(scope="module")
def pool(start_pool: Callable[..., Any]) -> Any:
    return start_pool("--verifiers", "1")


def revise(folder: Path, **lines: str) -> None:
    """Change lines of a manifest."""
    manifest = folder / "problem.toml"
    text = manifest.read_text()
    for key, value in lines.items():
        text, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
        assert found == 1, key
    manifest.write_text(text)


def test_row_44_a_revision_that_asks_for_more_waits_for_the_owner(
    pool: Any, make_problem: Callable[..., Path], join: Callable[..., Any], tmp_path: Path,
    told: Callable[..., Any], until: Callable[..., Any],
) -> None:  # fmt: skip
    folder = make_problem("far-numbers", NAME)
    ada = pool.person(tmp_path / "ada", "ada")
    ada.publish(folder)
    volunteer = join(pool, "eve")
    volunteer.until("scored")

    # A repaired scorer that asks for no more is worked on as before.
    with (folder / "score.py").open("a") as scorer:
        scorer.write("# Nothing else changed.\n")
    ada.publish(folder)
    second = volunteer.until("leased", lambda event: event["revision"] == 2)
    volunteer.until("scored", after=second)

    revise(folder, memory='"96MiB"')
    ada.publish(folder)
    third = volunteer.until("leased", lambda event: event["revision"] == 3)
    lease = volunteer.events[third - 1]["lease"]
    released = volunteer.until("released", lambda event: event["lease"] == lease)
    why = volunteer.events[released - 1]["reason"]
    assert "memory" in why
    assert f"ar-worker start --accept {NAME}@3" in why
    volunteer.until("waiting", lambda event: event["reasons"] == ["consent"], after=released)
    assert not [event for event in volunteer.events[released:] if event["event"] in {"leased", "scored"}]

    def status() -> dict[str, Any]:
        document: dict[str, Any] = told("ar_worker", "status", "--json", home=volunteer.home).document
        return document

    until(lambda: status()["state"] == "waiting", 60)
    (asked,) = status()["asked"]
    assert (asked["problem"], asked["revision"]) == (NAME, 3)
    assert "memory 96 MiB instead of 64 MiB" in asked["why"]
    shown = told("ar_worker", "status", home=volunteer.home).out
    assert asked["accept"] in shown
    assert volunteer.end(signal.SIGTERM) == 0, volunteer.errors()

    # Starting again is no yes; and no other problem is kept from it meanwhile.
    other = make_problem("far-numbers", "other-wishes")
    ada.publish(other)
    again = volunteer.again("start", "--slots", "1")
    again.until("scored")
    assert {event["problem"] for event in again.all("leased")} == {"other-wishes"}
    assert again.end(signal.SIGTERM) == 0, again.errors()

    yes = volunteer.again("start", "--slots", "1", "--problems", NAME, "--accept", f"{NAME}@3")
    agreed = yes.until("leased")
    assert yes.events[agreed - 1]["revision"] == 3
    yes.until("scored", after=agreed)
    assert status()["asked"] == []
    assert yes.end(signal.SIGTERM) == 0, yes.errors()

    # What was agreed to once stays agreed to, and a further wish is asked about again.
    revise(folder, memory='"96MiB"', processes="16")
    ada.publish(folder)
    last = volunteer.again("start", "--slots", "1", "--problems", NAME)
    last.until("waiting", lambda event: event["reasons"] == ["consent"])
    assert last.all("scored") == []
    assert [one["why"] for one in status()["asked"]] == ["processes 16 instead of 8"]
    assert last.end(signal.SIGTERM) == 0, last.errors()
