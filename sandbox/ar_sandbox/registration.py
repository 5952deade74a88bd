"""Measuring a problem before anybody works on it: it believes nothing that the manifest says.

Not here: reading the manifest (``ar_core.manifest``) and what the attacks are (``cheats``).
"""

import math
import shutil
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ar_core.candidate import check_policy
from ar_core.errors import PoolError
from ar_core.manifest import ManifestError, check_files, read_manifest
from ar_core.metric import improvement
from ar_core.problem import MANIFEST_NAME, Noise, Problem
from ar_core.text import is_bidirectional, is_control, one_line
from ar_sandbox import judging, self_test, times
from ar_sandbox.cheats import Cheat, cheats
from ar_sandbox.environment import Interpreter, satisfies
from ar_sandbox.environment_build import CANNOT as PACKAGES_CANNOT
from ar_sandbox.folder import load_folder
from ar_sandbox.judging import Findings
from ar_sandbox.report import (
    Finding,
    NoiseReport,
    Registration,
    Severity,
    report_from_json,
    report_to_json,
)
from ar_sandbox.result import Outcome, PreparedProblem, Result, RunSeeds
from ar_sandbox.rooms import OpenProblem, Sandbox
from ar_sandbox.self_test import SelfTest

__all__ = [
    "Finding", "NoiseReport", "Registration", "load_folder", "register", "report_from_json", "report_to_json",
]  # fmt: skip

_RUNS_AT_LEAST = 2
_SECONDS_AT_LEAST, _SECONDS_AT_MOST = 60.0, 150.0
_EVALUATIONS = 12
_FIRST_HASH_SEED = 1000
_FIRST_SELF_TEST = 16
"""The number of the first seeds of a self-test, behind those of the baseline."""
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def register(
    files: Mapping[str, bytes],
    *,
    sandbox: Sandbox,
    runs: int = 5,
    with_hidden: bool = True,
    seeds: Callable[[int], RunSeeds],
    clock: Callable[[], float],
    thorough: bool = False,
    on_progress: Callable[[str], None] | None = None,
) -> Registration:
    """Check the folder ``files`` (path to content) and measure its baseline ``runs`` times.

    ``seeds(i)`` gives the seeds of run ``i``; ``clock`` is monotonic, in seconds. It takes at most max(60 s, 12
    evaluations) and never more than 150 s unless ``thorough``. Raises ``PoolError`` AR-S501 when the sandbox
    itself fails and AR-S503 when its packages could not be fetched now, never for what a problem does.
    """
    report = Findings()
    say = on_progress or (lambda _line: None)
    problem = _read(files, sandbox.machine.interpreter, report)
    if problem is None or not report.ok:
        return _refused(problem, report)
    evaluation = problem.evaluation
    whole = _EVALUATIONS * (evaluation.time_budget + evaluation.score_timeout)
    allowed = min(max(_SECONDS_AT_LEAST, whole), _SECONDS_AT_MOST)
    prepared = PreparedProblem.of(problem, files, with_hidden=with_hidden)
    candidate = files[problem.files.mutable]
    opened = _open(sandbox, prepared, report, say)
    if opened is None:
        return _refused(problem, report)
    with opened:
        deadline = math.inf if thorough else clock() + allowed
        measuring = _Measuring(opened, problem, candidate, seeds, clock, deadline, report, say)
        results = measuring.baseline(max(_RUNS_AT_LEAST, runs))
        if not results:
            return _refused(problem, report)
        noise = judging.summary(problem, results)
        seconds = statistics.median(result.total_seconds for result in results)
        judging.noise(problem, noise, report)
        if problem.acceptance.noise is Noise.TIMING:
            times.judge(problem, judging.scored(results), seconds, report)
        else:
            judging.min_gain(problem, noise, seconds, report)
        judging.baseline(problem, noise, report)
        if report.ok:
            measuring.copy(results[0], noise)
            measuring.attacks(noise)
        if report.ok:
            until = math.inf if thorough else min(deadline, clock() + self_test.SHARE * allowed)
            # No pair is begun that would not end in time.
            measuring.self_test(results, noise, until - 2 * seconds)
    return Registration(
        ok=report.ok,
        kind=evaluation.kind.value,
        baseline=noise.mean,
        noise=noise,
        seconds=seconds,
        findings=tuple(report.found),
        integrity=evaluation.kind.integrity,
        baseline_secondary=noise.secondary,
    )


def _open(
    sandbox: Sandbox, prepared: PreparedProblem, report: Findings, say: Callable[[str], None]
) -> OpenProblem | None:
    """Put the problem on a stage, with the packages that it requires; ``None`` with a finding where it cannot be."""
    if prepared.problem.environment.requirements:
        say("installing the packages that it requires")
    try:
        return sandbox.open(prepared)
    except PoolError as error:
        if error.code != PACKAGES_CANNOT:
            raise
        report.add("environment", "error", f"the packages cannot be installed: {error.detail}", error.hint)
        return None


def _refused(problem: Problem | None, report: Findings) -> Registration:
    kind = problem.evaluation.kind if problem is not None else None
    return Registration(
        ok=False, kind=kind or "", baseline=None, noise=None, seconds=0.0, findings=tuple(report.found),
        integrity=kind.integrity if kind is not None else "high",
    )  # fmt: skip


def _read(files: Mapping[str, bytes], interpreter: Interpreter, report: Findings) -> Problem | None:
    """Return the problem of a folder, with a finding for all that is wrong with it or not possible here."""
    if MANIFEST_NAME not in files:
        report.add("manifest", "error", f"there is no {MANIFEST_NAME}", "start one with `ar-pool init DIR`")
        return None
    try:
        problem = read_manifest(files[MANIFEST_NAME])
    except ManifestError as error:
        for found in error.findings:
            report.add("manifest", "error", f"{found.where}: {found.message}", found.fix)
        return None
    for found in check_files(problem, files):
        report.add("files", "error", f"{found.where}: {found.message}", found.fix)
    _check_texts(problem, files, report)
    if problem.evaluation.kind.integrity == "low":
        _warn(problem, report)
    _check_environment(problem, interpreter, report)
    return problem


def _check_texts(problem: Problem, files: Mapping[str, bytes], report: Findings) -> None:
    """Refuse a start that no candidate could be built on, and a goal that not everybody can read."""
    mutable, program = problem.files.mutable, problem.files.program
    start = files.get(mutable)
    # Its size is told of with the other files.
    broken = check_policy(start, len(start)) if start is not None else None
    if broken is not None:
        fix = f"{broken.hint}: whoever keeps it in a proposal would be rejected"
        report.add("files", "error", f"{mutable}: {broken.message}", fix)
    trouble = _unreadable(files.get(program, b""))
    if trouble:
        report.add("files", "error", f"{program}: {trouble}", "write it as plain UTF-8 text")


def _unreadable(data: bytes) -> str:
    """Return what keeps people from reading a text, empty where nothing does."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 text (byte {error.start})"
    for number, line in enumerate(text.split("\n"), start=1):
        for character in line.removesuffix("\r"):
            if is_control(character) or character == "\r":
                return f"line {number} has the control character U+{ord(character):04X}"
            if is_bidirectional(character):
                return f"line {number} has the bidirectional character U+{ord(character):04X}"
    return ""


def _warn(problem: Problem, report: Findings) -> None:
    """Say what a low integrity means; the label stays with the problem wherever it is shown."""
    limit = problem.acceptance.max_plausible_gain
    held = "every gain" if limit is None else f"a gain above {limit}"
    said = f"integrity is low: {problem.evaluation.kind.caveat}; {held} waits for a person"
    fix = 'separate the candidate from what scores it: kind = "artifact" or "service"'
    report.add("integrity", "warning", said, fix)


def _check_environment(problem: Problem, interpreter: Interpreter, report: Findings) -> None:
    environment = problem.environment
    try:
        fits = satisfies(interpreter.version, environment.python)
    except ValueError as error:
        report.add("environment", "error", str(error), "correct environment.python")
    else:
        if not fits:
            have = ".".join(map(str, interpreter.version))
            fix = "change environment.python, or use a machine that has it"
            report.add("environment", "error", f"Python {environment.python} is asked for, here is {have}", fix)
    if problem.resources.gpus:
        report.add("environment", "error", "rooms have no GPU yet", "set resources.gpus = 0")
    for program in environment.system:
        if shutil.which(program, path=_SYSTEM_PATH) is None:
            fix = "install it in /usr/bin, or remove it from environment.system"
            report.add("environment", "error", f"the program {program} is not on this machine", fix)


@dataclass(frozen=True, slots=True)
class _Measuring:
    """The runs of one registration on one stage, until ``deadline``."""

    opened: OpenProblem
    problem: Problem
    candidate: bytes
    seeds: Callable[[int], RunSeeds]
    clock: Callable[[], float]
    deadline: float
    report: Findings
    say: Callable[[str], None]

    def baseline(self, runs: int) -> list[Result]:
        """Score the baseline in fresh rooms with other seeds, folders and hash seeds; empty when it fails."""
        results: list[Result] = []
        for number in range(runs):
            if number >= _RUNS_AT_LEAST and self.clock() > self.deadline:
                self.report.add("baseline", "warning", f"only {number} of {runs} runs fitted into the time")
                break
            result = self._evaluate(self.candidate, number)
            if result.outcome is not Outcome.OK or result.score is None:
                where = f"run {number + 1} of the baseline"
                said = f"{where} ended with {result.outcome.reason}: {one_line(result.feedback[-500:], 400)}"
                self.report.add("baseline", "error", said, "correct it until `ar-pool check DIR` can score it")
                return []
            self.say(f"baseline {number + 1}/{runs}: {result.score!r}")
            results.append(result)
        return results

    def copy(self, first: Result, noise: NoiseReport) -> None:
        """A byte-identical copy with the same seeds must be no improvement and pass the guards."""
        again = self._evaluate(self.candidate, 0, hash_seed=_FIRST_HASH_SEED - 1)
        if again.score is None or first.score is None:
            said = f"a copy of the baseline ended with {again.outcome.reason}"
            self.report.add("copy", "error", said, "make the scorer repeatable")
            return
        gain = improvement(self.problem.metric.direction, again.score, first.score)
        least = self.problem.acceptance.min_gain.at(first.score)
        # One time beside another says nothing; many pairs of them do, see the self-test.
        if self.problem.acceptance.noise is not Noise.TIMING and gain > max(least, judging.SPREADS * noise.sd):
            said = f"a byte-identical copy scores {gain:g} better with the same seeds"
            self.report.add("copy", "error", said, "take all randomness from AR_SEED and AR_RUN_SEED")
        for guard in self.problem.acceptance.guards:
            if not judging.guard_holds(guard, again.secondary, first.secondary):
                said = f"a byte-identical copy breaks the guard on {guard.metric}"
                self.report.add("guards", "warning", said, "raise max_regression above the metric's noise")

    def attacks(self, noise: NoiseReport) -> None:
        """Run the canned attacks as far as the time allows; each must score worse or not at all."""
        attacks = list(cheats(self.problem, self.candidate))
        done = 0
        for number, cheat in enumerate(attacks, start=1):
            if self.clock() > self.deadline:
                break
            self._attack(cheat, noise)
            self.say(f"attack {number}/{len(attacks)}: {cheat.name}")
            done = number
        severity: Severity = "info" if done == len(attacks) else "warning"
        self.report.add("cheat", severity, f"{done} of {len(attacks)} canned attacks were tried")

    def self_test(self, results: list[Result], noise: NoiseReport, until: float) -> None:
        """Measure the start against itself as long as the time allows; see ``ar_sandbox.self_test``."""
        self.say("the start against itself")
        test = SelfTest(
            problem=self.problem,
            seen=noise,
            run=self._run,
            seeds=lambda index: self.seeds(_FIRST_SELF_TEST + index),
            going_on=lambda: self.clock() <= until,
        )
        self_test.judge(self.problem, test.decision(results), self.report)

    def _attack(self, cheat: Cheat, noise: NoiseReport) -> None:
        result = self._evaluate(cheat.content, 0)
        if result.outcome is not Outcome.OK or result.score is None:
            return
        guards = self.problem.acceptance.guards
        if not all(judging.guard_holds(guard, result.secondary, noise.secondary) for guard in guards):
            return
        gain = improvement(self.problem.metric.direction, result.score, noise.mean)
        if gain > judging.SPREADS * noise.sd:
            said = f"{cheat.name} scores {result.score!r}, better than the baseline's {noise.mean!r}"
            if self.problem.evaluation.kind.integrity == "low":
                self.report.add("cheat", "warning", said, "nothing can be done about it in one room; see integrity")
                return
            fix = "let the scorer check what it reads, and exit with 1 for what is not a solution"
            self.report.add("cheat", "error", said, fix)
        elif gain >= 0:
            score = "" if self.problem.files.hidden else f" {result.score!r},"
            said = f"{cheat.name} scores{score} no worse than the baseline"
            self.report.add("cheat", "warning", said, "start from a baseline that is better than nothing")

    def _evaluate(self, candidate: bytes, number: int, *, hash_seed: int | None = None) -> Result:
        if hash_seed is None:
            hash_seed = _FIRST_HASH_SEED + number
        return self._run(self.seeds(number), hash_seed, candidate)

    def _run(self, seeds: RunSeeds, hash_seed: int, candidate: bytes | None = None) -> Result:
        """Score a candidate, by default the start."""
        content = self.candidate if candidate is None else candidate
        result = self.opened.evaluate(content, seeds, hash_seed=hash_seed)
        if result.outcome is Outcome.INFRASTRUCTURE:
            raise PoolError("AR-S501", one_line(result.feedback))
        return result
