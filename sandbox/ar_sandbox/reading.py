"""How the ends of rooms become an outcome, a score and what the next attempt may read.

Not here: running the rooms (``evaluation``). Pure: ends in, results out.
"""

from ar_core import text
from ar_core.metric import read_score
from ar_sandbox.result import Outcome, PreparedProblem, Result
from ar_sandbox.supervisor import End, RoomRun

_OUTCOMES = {
    End.TIMEOUT: Outcome.TIMEOUT,
    End.OUT_OF_MEMORY: Outcome.OUT_OF_MEMORY,
    End.LIMIT: Outcome.LIMIT,
    End.INFRASTRUCTURE: Outcome.INFRASTRUCTURE,
    End.STOPPED: Outcome.INFRASTRUCTURE,
}
_ON_PURPOSE_BYTES = 200
_LINES_OF_THE_SCORER, _LINES_OF_THE_CANDIDATE = 7, 12
_IN_A_WORD = {End.TIMEOUT: "time", End.OUT_OF_MEMORY: "memory", End.LIMIT: "output or files"}
"""What a room had too much of, without the amount, which could be made to say something."""
_NO_MEMORY = ("MemoryError", "std::bad_alloc", "Cannot allocate memory", "out of memory")


def scored(prepared: PreparedProblem, scorer: RoomRun, seconds: float, *, who: str = "the scorer") -> Result:
    """Return what the room that prints the score says; ``seconds`` is the candidate's timed interval."""
    shown = _on_purpose(scorer.stderr) if prepared.hidden else scorer.stderr
    failed = failure(scorer, who, shown, in_a_word=bool(prepared.hidden))
    if failed is None:
        metric = prepared.problem.metric
        read = read_score(scorer.stdout.decode(errors="replace"), metric.name, metric.low, metric.high)
        if read.score is not None:
            return Result(outcome=Outcome.OK, score=read.score, secondary=read.secondary, seconds=seconds)
        # A number outside the range is one that the hidden files gave.
        said = "the scorer printed no score that counts" if prepared.hidden else read.problem
        failed = Result(outcome=Outcome.PROTOCOL, score=None, feedback=_feedback(shown, said))
    return Result(outcome=failed.outcome, score=None, feedback=failed.feedback, seconds=seconds)


def served(prepared: PreparedProblem, answered: RoomRun, asked: RoomRun) -> Result:
    """Return what came of a service: a limit that the candidate broke, else the score, else how the candidate ended.

    A candidate may end by itself when it has answered all it was asked, so its end only counts where the scorer came
    to no score; then it is the reason for it.
    """
    if End.INFRASTRUCTURE in {answered.end, asked.end}:
        return Result(outcome=Outcome.INFRASTRUCTURE, score=None, feedback=answered.detail or asked.detail)
    # A scorer may have been stopped because of the candidate, after it had begun.
    measured = asked.end is not End.STOPPED or asked.seconds > 0
    # What the scorer sends may come out of the hidden files, and a candidate could repeat it for all to read: in
    # words, by its status, by how much it uses.
    secret = bool(prepared.hidden) and measured
    shown = b"" if secret else answered.stderr
    if answered.end not in {End.STOPPED, End.EXIT}:
        return _stopped(answered, "the candidate", shown, in_a_word=secret)
    if not measured:
        return _ended(answered, shown, "before it listened on $AR_SOCKET")
    result = scored(prepared, asked, asked.seconds)
    if result.outcome is Outcome.OK or answered.end is End.STOPPED:
        return result
    # Which of the two ended the other is not known: what both said is passed on.
    said = result.feedback.splitlines()[-_LINES_OF_THE_SCORER:]
    shown = b"\n".join(shown.splitlines()[-_LINES_OF_THE_CANDIDATE:])
    both = "\n".join(said).encode() + b"\n" + shown
    if secret:
        feedback = _feedback(both, "the candidate ended while it was measured")
        return Result(outcome=Outcome.CRASH, score=None, feedback=feedback, seconds=asked.seconds)
    return _ended(answered, both, "while it was measured", asked.seconds)


def failure(run: RoomRun, who: str, shown: bytes, *, in_a_word: bool = False) -> Result | None:
    """Return the result of a room that did not end well, or ``None``; ``shown`` of its stderr is passed on.

    With ``in_a_word`` nothing is said about how much it used of what it had too much of.
    """
    if run.end is not End.EXIT:
        return _stopped(run, who, shown, in_a_word=in_a_word)
    if run.status == 0:
        return None
    sentence = f"{who} exited with status {run.status}"
    return Result(outcome=_exit(run), score=None, feedback=_feedback(shown, sentence), seconds=run.seconds)


def _stopped(run: RoomRun, who: str, shown: bytes, *, in_a_word: bool) -> Result:
    too_much = _IN_A_WORD.get(run.end) if in_a_word else None
    sentence = f"{who} was stopped: {run.detail if too_much is None else f'too much {too_much}'}"
    return Result(outcome=_OUTCOMES[run.end], score=None, feedback=_feedback(shown, sentence), seconds=run.seconds)


def _ended(answered: RoomRun, shown: bytes, when: str, seconds: float | None = None) -> Result:
    """Return the result of a service that ended too early, with whatever status."""
    sentence = f"the candidate exited with status {answered.status} {when}"
    return Result(
        outcome=_exit(answered),
        score=None,
        feedback=_feedback(shown, sentence),
        seconds=answered.seconds if seconds is None else seconds,
    )


def _exit(run: RoomRun) -> Outcome:
    # The kernel's limit makes an allocation fail, which most programs report and then exit as they like.
    if any(sign in run.stderr[-2000:].decode(errors="replace") for sign in _NO_MEMORY):
        return Outcome.OUT_OF_MEMORY
    return Outcome.CRASH


def _on_purpose(stderr: bytes) -> bytes:
    """Return the last line that begins with ``invalid:``, which a scorer wrote for the proposer to read.

    Whatever else a scorer says while the hidden files are there may quote them, a traceback above all, and what a
    proposer reads everybody reads.
    """
    lines = [line for line in stderr[-65536:].splitlines() if line.startswith(b"invalid:")]
    return lines[-1][:_ON_PURPOSE_BYTES] if lines else b""


def _feedback(stderr: bytes, sentence: str) -> str:
    return text.feedback(f"{stderr.decode(errors='replace').rstrip()}\n{sentence}".strip())
