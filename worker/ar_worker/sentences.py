"""The events of a run as sentences for its owner.

Not here: where they are shown (``voice``, ``panel``).
"""

from collections.abc import Callable, Mapping

_WAITS = {
    "no_problem_matches": "no open problem fits this machine; see `ar-pool problems`, or use --problems any",
    "paused": "the problems that fit are paused; nothing to do here",
    "quota": "this machine's share is used for now; it grows when claims hold",
    "cool_down": "claims of this machine did not hold, so it waits a while",
    "draining": "the pool gives out no work now; ask its operator",
    "upgrade_needed": "the pool wants a newer version; run `git pull && make setup`",
    "sandbox": "the pool needs to know how good this machine's sandbox is; run `ar-worker doctor`",
    "consent": "a problem asks for more than you agreed to; `ar-worker status` says what",
    "no_connection": "no connection to the pool; trying again",
}
_COLOURS = {"accepted": "green", "held": "yellow", "rejected": "red"}


def wait_sentence(reasons: object) -> str:
    """Say why there is no work, by the primary reason."""
    first = reasons[0] if isinstance(reasons, list) and reasons else ""
    return _WAITS.get(str(first), "there is no work now")


def event_sentence(name: str, fields: Mapping[str, object]) -> tuple[str, str]:
    """Return what an event says to people, empty for nothing, and its colour."""
    tell = _SENTENCES.get(name)
    return tell(fields) if tell is not None else ("", "")


def _number(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, int | float) else "–"


def _experiments(fields: Mapping[str, object]) -> str:
    number = fields["experiments"]
    return f"{number} experiment" if number == 1 else f"{number} experiments"


def _leased(fields: Mapping[str, object]) -> tuple[str, str]:
    best = _number(fields["parent_score"])
    return f"leased    {fields['problem']}: {_number(fields['box'])} s on the version that scores {best}", ""


def _scored(fields: Mapping[str, object]) -> tuple[str, str]:
    if not fields["claim"]:
        return "", ""
    scores = f"{_number(fields['score'])}, its parent {_number(fields['parent_score'])}"
    return f"better    {fields['problem']}: {scores} here ({fields['note']})", ""


def _reported(fields: Mapping[str, object]) -> tuple[str, str]:
    claims = fields["claims"]
    with_claim = ", one of them a claim" if isinstance(claims, list) and claims else ""
    return f"reported  {_experiments(fields)}{with_claim}; the pool has them", ""


def _verdict(fields: Mapping[str, object]) -> tuple[str, str]:
    status = str(fields["status"])
    score = f", verified {_number(fields['verified'])}" if fields["verified"] is not None else ""
    if fields.get("published") is not None:
        score = f", published with {_number(fields['published'])}"
    why = f": {fields['explanation']}" if fields["explanation"] and status != "accepted" else ""
    return f"verdict   {fields['problem']}: {status}{score}{why}", _COLOURS.get(status, "")


def _waiting(fields: Mapping[str, object]) -> tuple[str, str]:
    return f"waiting   {wait_sentence(fields['reasons'])}", "dim"


def _released(fields: Mapping[str, object]) -> tuple[str, str]:
    return f"released  {fields['problem']}: {fields['reason']}", ""


def _stopped(fields: Mapping[str, object]) -> tuple[str, str]:
    return f"stopped   {fields['reason']}; {_experiments(fields)} in this run", ""


_SENTENCES: dict[str, Callable[[Mapping[str, object]], tuple[str, str]]] = {
    "leased": _leased,
    "scored": _scored,
    "reported": _reported,
    "verdict": _verdict,
    "waiting": _waiting,
    "released": _released,
    "stopped": _stopped,
}
