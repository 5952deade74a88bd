"""Bench ``training``: what a pool makes of real gains in training scripts, and of changes that change nothing.

A real pool with two verifiers. First, all at once, changes that train as the start does: other bytes, or other random
numbers. Then real gains one after another, each on top of those accepted before it, and more changes that change
nothing, to the version that came of it. Ends with 1 if the pool accepts one of these.

Without arguments it is ``tiny-classifier`` with 50 that change nothing: seven minutes on two busy cores. After a
problem's registration at most ``--minutes`` (30) are spent on it: what has no verdict by then is counted as that.
"""

import argparse
import os
import platform
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from conftest import Person, RunningPool  # noqa: E402
from figures import keep, table, tell  # noqa: E402
from training_changes import GAINS, no_ops  # noqa: E402

from ar_client.identity import Home  # noqa: E402
from ar_client.pool import Pool, open_pool  # noqa: E402
from ar_client.records import Proposal  # noqa: E402
from ar_core.candidate import sha256  # noqa: E402
from ar_core.errors import PoolError  # noqa: E402
from ar_core.lifecycle import SETTLED, ExperimentState, Reason  # noqa: E402
from ar_core.records import Experiment  # noqa: E402

PAIRS = 50
"""A real gain is to be believed within so many pairs."""
_STREAM_SECONDS = 60.0
Row = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be measured."""

    problems: tuple[str, ...]
    gains: int
    no_ops: int
    minutes: float
    time_budget: str


def asked() -> Asked:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problem", action="append", choices=sorted(GAINS), help="may be given again")
    parser.add_argument("--gains", type=int, default=99, help="how many of the real gains, from the first")
    parser.add_argument("--noops", type=int, default=50, help="changes that change nothing, for each problem")
    parser.add_argument("--minutes", type=float, default=30, help="at most, for each problem")
    parser.add_argument("--time-budget", default="", help='another one than the manifest says, like "5s"')
    given = parser.parse_args()
    return Asked(
        problems=tuple(given.problem or ["tiny-classifier"]), gains=given.gains, no_ops=given.noops,
        minutes=given.minutes, time_budget=given.time_budget,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A change that changes nothing: to which version, of which kind, and what became of it."""

    where: str
    kind: str
    x: Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One problem on a pool, until ``deadline`` on the monotonic clock."""

    pool: Pool
    problem: str
    deadline: float

    def propose(self, text: str, note: str) -> Experiment:
        """Propose a file, as ``ar-pool propose --no-wait`` does."""
        content = text.encode()
        return self.pool.propose(
            Proposal(
                problem=self.problem, content=content, sha256=sha256(content), size=len(content), note=note,
                idempotency_key=secrets.token_hex(16),
            )
        )  # fmt: skip

    def settled(self, x: Experiment) -> Experiment:
        """Return the experiment with its verdict, or as it is when the time is over."""
        while x.state not in SETTLED and (left := self.deadline - time.monotonic()) > 0:
            with suppress(PoolError):
                for _ in self.pool.watch(experiment=x.id, seconds=min(left, _STREAM_SECONDS)):
                    pass
            x = self.pool.experiment(x.id)
        return x


def main() -> None:
    """Measure, print the tables, and add to bench/results.json."""
    wanted = asked()
    figures: dict[str, object] = {"bench": "training", "python": platform.python_version(), "cores": os.cpu_count()}
    believed = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        running = RunningPool(folder / "data", "--verifiers", "2").start()
        stack.callback(running.stop)
        alice = running.person(folder / "alice", "alice")
        client = stack.enter_context(open_pool(Home(alice.home)))
        for name in wanted.problems:
            figures[name], false = one_problem(name, wanted, alice, client, folder)
            believed += false
    keep("training", figures)
    if believed:
        sys.exit(f"{believed} of the changes that change nothing were accepted")


def one_problem(name: str, wanted: Asked, alice: Person, client: Pool, scratch: Path) -> tuple[Row, int]:
    """Publish a problem, propose what there is for it, and return the figures, and how many no-ops were accepted."""
    folder = scratch / name
    shutil.copytree(ROOT / "problems" / name, folder)
    if wanted.time_budget:
        manifest = folder / "problem.toml"
        line = f'time_budget = "{wanted.time_budget}"'
        manifest.write_text(re.sub(r'(?m)^time_budget = "\w+"', line, manifest.read_text()))
    checked = patiently(alice, "check", folder)
    patiently(alice, "publish", folder)
    card = client.problem(name)
    prices = {
        "ar-pool check": [found["message"] for found in checked["findings"] if found["check"] == "min_gain"],
        "its page": [found.message for found in card.findings if found.check == "min_gain"],
    }
    tell(f"training: {name}, what an accept costs as the pool says", {k: "; ".join(v) for k, v in prices.items()})
    bench = Bench(pool=client, problem=name, deadline=time.monotonic() + 60 * wanted.minutes)
    start = (folder / card.mutable_path).read_text()
    to_start, start_minutes = propose_nothing(bench, "the start", start, wanted.no_ops - wanted.no_ops // 2)
    best, gains = climb(bench, start, wanted.gains)
    to_best, best_minutes = propose_nothing(bench, "the last one", best, wanted.no_ops // 2)
    tried = to_start + to_best
    false = sum(accepted(one.x) for one in tried)
    figures: Row = {
        "evaluation_s": round(card.evaluation, 2),
        "gains_accepted_of": [sum(accepted(x) for x in gains), len(gains)],
        f"within_{PAIRS}_pairs": sum(accepted(x) and x.pairs <= PAIRS for x in gains),
        "no_ops_accepted_of": [false, len(tried)],
        "no_ops_minutes": round(start_minutes + best_minutes, 1),
    }
    rows = {"gains": [gain_row(x) for x in gains], "no_ops": list(no_op_rows(tried))}
    if rows["gains"]:
        table(f"training: {name}, real gains, each made on those accepted before it", rows["gains"])
    if rows["no_ops"]:
        table(f"training: {name}, changes that change nothing", rows["no_ops"])
    tell(f"training: {name}", figures)
    return {**figures, **rows, "prices": prices, "time_budget": wanted.time_budget or "the manifest's"}, false


def patiently(person: Person, command: str, folder: Path) -> dict[str, Any]:
    """Run ``ar-pool check`` or ``publish``, for which packages may have to be installed first."""
    done = person.pool(command, str(folder), "--json")
    if done.code != 0:
        raise RuntimeError(f"{command}: {done}")
    document: dict[str, Any] = done.document
    return document


def climb(bench: Bench, start: str, most: int) -> tuple[str, list[Experiment]]:
    """Propose the real gains one after another; return the best version's text, and what became of each."""
    best, found = start, []
    for change in GAINS[bench.problem][:most]:
        text = change.of(best)
        x = bench.settled(bench.propose(text, change.note))
        found.append(x)
        if x.state is not ExperimentState.ACCEPTED:
            # What follows would be made on top of it.
            break
        best = text
    return best, found


def propose_nothing(bench: Bench, where: str, text: str, n: int) -> tuple[list[Tried], float]:
    """Propose ``n`` changes that change nothing all at once; return what became of them, and the minutes it took."""
    begun = time.monotonic()
    made = no_ops(bench.problem, text, n)
    queued = [bench.propose(no_op.text, no_op.note) for no_op in made]
    tried = [
        Tried(where=where, kind=no_op.kind, x=bench.settled(x)) for no_op, x in zip(made, queued, strict=True)
    ]  # fmt: skip
    return tried, (time.monotonic() - begun) / 60


def accepted(x: Experiment) -> bool:
    """Tell whether it was committed, or would have been but for a person."""
    return x.state in {ExperimentState.ACCEPTED, ExperimentState.HELD}


def gain_row(x: Experiment) -> Row:
    """Return one real gain as a row; it was proposed alone, so its minutes are those of its verification."""
    return {
        "change": x.note,
        "status": f"{x.state.value}{f' ({x.reason.value})' if x.reason else ''}",
        "pairs": x.pairs,
        "to publish": x.published.pairs if x.published else 0,
        "evidence": f"{x.evidence or 0:.3g}",
        "to beat": f"{x.incumbent or 0:.4g}",
        "gain": f"{x.gain or 0:.3g}",
        "published gain": f"{x.published.gain:.3g}" if x.published else "",
        "minutes": round((x.updated - x.created).total_seconds() / 60, 1),
    }


def no_op_rows(tried: list[Tried]) -> Iterator[Row]:
    """Yield a row for each version that was changed, and each kind of change that changes nothing."""
    for where, kind in dict.fromkeys((one.where, one.kind) for one in tried):
        found = [one.x for one in tried if (one.where, one.kind) == (where, kind)]
        pairs = [x.pairs for x in found if x.state in SETTLED]
        yield {
            "changed": where,
            "by": kind,
            "proposed": len(found),
            "accepted": sum(map(accepted, found)),
            "inconclusive": sum(x.reason is Reason.INCONCLUSIVE for x in found),
            "no verdict": len(found) - len(pairs),
            "pairs": sum(pairs),
            "on average": round(fmean(pairs), 1) if pairs else "",
            "at most": max(pairs, default=""),
        }


if __name__ == "__main__":
    main()
