"""``ar-pool propose``: a candidate by hand, and what the pool measured."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ar_client.options import json_option, name_argument, no_wait_option
from ar_client.output import Output

if TYPE_CHECKING:
    from ar_client.pool import Pool
    from ar_client.records import Proposal
    from ar_core.records import Experiment, ProblemCard

_GOOD = frozenset({"accepted", "held"})
_WAITING = frozenset({"reported", "queued", "verifying"})


@click.command()
@name_argument
@click.option("--file", "path", required=True, type=click.Path(path_type=Path), help="The whole new file.")
@click.option("--note", default="", help="What you tried, in one line.")
@click.option("--claimed", type=float, help="The score that you measured, if you did.")
@no_wait_option
@json_option
def propose(name: str, path: Path, note: str, claimed: float | None, no_wait: bool, output: Output) -> int:
    """Propose a candidate by hand and wait for the verdict.

    Ends with 0 when it is accepted or held, 9 when it is not.

    \b
    Examples:
      ar-pool propose circle-packing-26 --file solution.json --note "tighter corners"
      ar-pool propose circle-packing-26 --file solution.json --no-wait --json
    """
    import math
    import secrets

    from ar_client.candidate_file import read_candidate
    from ar_client.identity import Home, home_directory
    from ar_client.pool import open_pool
    from ar_client.records import Proposal
    from ar_core.documents import proposal_document
    from ar_core.errors import PoolError

    if claimed is not None and not math.isfinite(claimed):
        raise PoolError("AR-A101", "--claimed is not a finite number")
    with open_pool(Home(home_directory())) as pool:
        card = pool.problem(name)
        candidate = read_candidate(path, card.max_bytes)
        proposal = Proposal(
            problem=name, content=candidate.content, sha256=candidate.sha256, size=candidate.size, note=note,
            claimed=claimed, idempotency_key=secrets.token_hex(16),
        )  # fmt: skip
        experiment, interrupted = _proposed(pool, proposal, output, wait=not no_wait)
    if output.as_json:
        output.document(proposal_document(experiment))
    else:
        _tell(experiment, card, output)
    status = experiment.state.value
    return 0 if status in _GOOD or (status in _WAITING and (no_wait or interrupted)) else 9


def _proposed(pool: "Pool", proposal: "Proposal", output: Output, *, wait: bool) -> "tuple[Experiment, bool]":
    """Return the experiment, settled if the wait was not interrupted, and whether it was."""
    from ar_client.waiting import insist, settled

    experiment: Experiment | None = None
    try:
        experiment = insist(lambda: pool.propose(proposal), lambda e: output.say(f"{e.message} Trying again."))
        if wait:
            output.passing(f"{experiment.id}: {experiment.state.value}, waiting for the verdict")
            experiment = settled(pool, experiment, lambda x: output.passing(f"{x.id}: {x.state.value}"))
    except KeyboardInterrupt:
        if experiment is None:
            raise
        output.say(f"Stopped waiting. The proposal {experiment.id} is safe; see ar-pool log {proposal.problem}")
        return experiment, True
    return experiment, False


def _tell(x: "Experiment", card: "ProblemCard", output: Output) -> None:
    from ar_client.wording import measured, published, score, verdict, verified_gain

    words, colour = verdict(x)
    output.say(words, colour=colour)
    output.fields(
        [
            ("experiment", x.id),
            ("why", x.explanation),
            ("claimed", score(x.claimed, card) if x.claimed is not None else ""),
            ("verified", score(x.verified, card) if x.verified is not None else ""),
            ("to beat", score(x.incumbent, card) if x.incumbent is not None else ""),
            ("gain", verified_gain(x, card)),
            ("pairs", measured(x.pairs, x.verifier, x.verifier_grade)),
            ("published", published(x, card)),
            ("commit", x.commit),
        ]
    )
    if x.feedback:
        output.say(x.feedback)
    if x.state.value in _WAITING:
        output.say(f"Its verdict will be in: ar-pool log {card.name}")
