"""Bench ``latency``: what a pool makes of handlers that are as fast, and a fifth faster, while others use a core.

A real pool with one verifier and the problem ``api-latency``, on a machine on which a process of somebody else burns
one core from before the registration to the end. In each round the problem is published anew, handlers that do the
same in other words are proposed, and then one that takes a fifth less time. Ends with 1 if the pool accepts one that
is no faster. Two to three minutes a round on two cores.
"""

import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from bench_training import Bench, accepted, gain_row, patiently  # noqa: E402
from conftest import Person, RunningPool  # noqa: E402
from figures import keep, table, tell  # noqa: E402
from training_changes import Change  # noqa: E402

from ar_client.identity import Home  # noqa: E402
from ar_client.pool import Pool, open_pool  # noqa: E402
from ar_core.records import Experiment  # noqa: E402

NAME, ROUNDS, MINUTES = "api-latency", 3, 10.0
_BURN = f"import signal\nsignal.alarm({int(60 * MINUTES * ROUNDS)})\nwhile True:\n    pass\n"
"""Ends by itself, whatever becomes of this process."""
EQUAL = (
    Change(note="a name", edits=(("found = -1", "found = -2"),)),
    Change(note="another order", edits=(("reading > found:", "found < reading:"),)),
    Change(note="a remark", edits=(('"""One is made for each measurement."""', '"""One for each measurement."""'),)),
    Change(note="a long sum", edits=(("found += reading", "found = found + reading"),)),
    Change(note="another comparison", edits=(("if reading > limit:", "if limit < reading:"),)),
)
_SCAN = """\
        found = 0
        for place, reading in enumerate(self.readings):
            if start <= place < end:
                found += reading
"""
_HALF = """\
        half = len(self.readings) // 2
        found = sum(self.readings[start : min(end, half)])
        for place, reading in enumerate(self.readings[half:], half):
            if start <= place < end:
                found += reading
"""
FASTER = Change(note="half of each total in one go", edits=((_SCAN, _HALF),))
"""A fifth less time, so that as many requests take a quarter more: ``min_gain`` asks for a tenth."""


@contextmanager
def burning() -> Iterator[None]:
    """Keep a core busy."""
    process = subprocess.Popen([sys.executable, "-c", _BURN])
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def published(person: Person, client: Pool, scratch: Path, number: int) -> tuple[Bench, str]:
    """Publish the problem under another name; return how to propose to it, and its start."""
    name = f"{NAME}-{number}"
    folder = scratch / name
    shutil.copytree(ROOT / "problems" / NAME, folder)
    manifest = folder / "problem.toml"
    manifest.write_text(re.sub(r"(?m)^name = .*$", f'name = "{name}"', manifest.read_text(), count=1))
    patiently(person, "publish", folder)
    bench = Bench(pool=client, problem=name, deadline=time.monotonic() + 60 * MINUTES)
    return bench, (folder / client.problem(name).mutable_path).read_text()


def main() -> None:
    """Measure, print the tables, and add to bench/results.json."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    equal: list[Experiment] = []
    faster: list[Experiment] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(burning())
        running = RunningPool(folder / "data", "--verifiers", "1").start()
        stack.callback(running.stop)
        alice = running.person(folder / "alice", "alice")
        client = stack.enter_context(open_pool(Home(alice.home)))
        for number in range(rounds):
            bench, start = published(alice, client, folder, number)
            equal += [bench.settled(bench.propose(change.of(start), change.note)) for change in EQUAL]
            faster.append(bench.settled(bench.propose(FASTER.of(start), FASTER.note)))
    table(
        "latency: a handler that takes a fifth less time, beside a process that burns a core",
        list(map(gain_row, faster)),
    )
    figures: dict[str, object] = {
        "bench": "latency", "rounds": rounds,
        "equal_accepted_of": [sum(map(accepted, equal)), len(equal)],
        "equal_pairs_median": statistics.median(x.pairs for x in equal),
        "equal_pairs_at_most": max(x.pairs for x in equal),
        "faster_accepted_of": [sum(map(accepted, faster)), len(faster)],
        "faster_pairs": [x.pairs for x in faster],
        "faster_gain_ms": [round(x.gain or 0.0, 3) for x in faster],
        "python": platform.python_version(),
    }  # fmt: skip
    tell("latency", figures)
    keep("latency", figures)
    if any(map(accepted, equal)):
        sys.exit("a handler that is no faster was accepted")


if __name__ == "__main__":
    main()
