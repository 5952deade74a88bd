"""``ar-pool publish``: a folder becomes a problem of the pool."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ar_client.options import json_option, no_wait_option
from ar_client.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from ar_core.records import Finding, ProblemCard

PUBLICATION_SCHEMA = "ar.publication/1"
_PATIENCE_SECONDS = 3.0
"""Before this nothing is said of what is missing: a pool that has just started finds its verifiers."""


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@no_wait_option
@json_option
def publish(folder: Path, no_wait: bool, output: Output) -> int:
    """Publish a problem's folder and wait for its registration.

    The same name again makes a new revision, if anything changed. Ends with 9 when the pool refuses it, and says why.

    \b
    Examples:
      ar-pool check my-problem && ar-pool publish my-problem
    """
    from ar_client.identity import Home, home_directory
    from ar_client.manifest_check import check_folder
    from ar_client.pool import open_pool
    from ar_client.waiting import registered
    from ar_core.lifecycle import ProblemState
    from ar_core.quantities import format_size

    home = Home(home_directory())
    home.login()
    checked = check_folder(folder)
    if checked.findings:
        return _refused(checked.name, checked.findings, output)
    files = checked.files
    with open_pool(home) as pool:
        size = format_size(sum(map(len, files.values())))
        output.passing(f"uploading {len(files)} files, {size}")
        card = pool.publish(files)
        revision = card.revision
        if card.state in {ProblemState.OPEN, ProblemState.PAUSED}:
            return _unchanged(card, output)
        if not no_wait:
            try:
                card = registered(pool, card, _teller(output))
            except KeyboardInterrupt:
                output.say(f"Stopped waiting. The registration goes on; see ar-pool show {card.name}")
    if card.state is ProblemState.REFUSED or card.revision < revision:
        return _refused(card.name, card.findings, output)
    _tell(card, output)
    return 0


def _teller(output: Output) -> "Callable[[ProblemCard, float], None]":
    """Return what shows how a registration goes on: the seconds, and once what it waits for."""
    from ar_core.lifecycle import ProblemState

    said: set[str] = set()

    def tell(card: "ProblemCard", seconds: float) -> None:
        reason = "" if card.state is ProblemState.PAUSED else card.state_reason
        if reason and reason not in said and seconds > _PATIENCE_SECONDS:
            said.add(reason)
            output.say(f"{card.name}: {reason}")
        output.passing(f"{card.name}: being registered, {seconds:.0f} s")

    return tell


def _unchanged(card: "ProblemCard", output: Output) -> int:
    """Tell that the pool has this folder already; of the mutable file it has its own best version."""
    # An error is that of another folder, which was refused meanwhile.
    _tell(replace(card, findings=tuple(f for f in card.findings if f.severity != "error")), output)
    better = f"for a better {card.mutable_path}: ar-pool propose {card.name} --file {card.mutable_path}"
    output.say(f"Nothing changed, revision {card.revision} stays; {better}")
    return 0


def _refused(name: str, findings: "tuple[Finding, ...]", output: Output) -> int:
    from ar_client.findings import say_findings
    from ar_core.documents import findings_document

    if output.as_json:
        output.document(
            {
                "schema": PUBLICATION_SCHEMA, "problem": name, "state": "refused",
                "findings": findings_document(findings),
            }
        )  # fmt: skip
    else:
        say_findings(output, findings)
        output.say(f"{name} was refused. Correct the errors, then: ar-pool check DIR", colour="red")
    return 9


def _tell(card: "ProblemCard", output: Output) -> None:
    from ar_client.findings import say_findings
    from ar_client.wording import score
    from ar_core.documents import findings_document

    if output.as_json:
        output.document(
            {
                "schema": PUBLICATION_SCHEMA, "problem": card.name, "revision": card.revision,
                "state": card.state.value, "kind": card.kind, "integrity": card.integrity,
                "baseline": card.baseline, "noise": card.noise,
                "head": card.head or None, "locked_digest": card.locked_digest, "web": card.web,
                "findings": findings_document(card.findings),
            }
        )  # fmt: skip
        return
    told = {"revision"} if card.noise == "none" else {"revision", "min_gain", "self-test"}
    say_findings(output, [f for f in card.findings if f.severity != "info" or f.check in told])
    output.data(f"{card.name}, revision {card.revision}: {card.state.value}")
    output.fields(
        [
            ("baseline", score(card.baseline, card) if card.baseline is not None else ""),
            ("noise", card.noise),
            ("integrity", f"{card.integrity}: {card.caveat}" if card.caveat else ""),
            ("page", card.web),
        ]
    )
