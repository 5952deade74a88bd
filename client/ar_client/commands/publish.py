"""``ar-pool publish``: a folder becomes a problem of the pool."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ar_client.options import json_option, no_wait_option
from ar_client.output import Output

if TYPE_CHECKING:
    from ar_core.records import Finding, ProblemCard

PUBLICATION_SCHEMA = "ar.publication/1"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@no_wait_option
@json_option
def publish(folder: Path, no_wait: bool, output: Output) -> int:
    """Publish a problem's folder and wait for its registration.

    The same name again makes a new revision. Ends with 9 when the pool refuses it, and says why.

    \b
    Examples:
      ar-pool check my-problem && ar-pool publish my-problem
    """
    from ar_client.identity import Home, home_directory
    from ar_client.manifest_check import manifest_findings
    from ar_client.pool import open_pool
    from ar_client.waiting import registered
    from ar_core.lifecycle import ProblemState
    from ar_core.quantities import format_size
    from ar_sandbox.folder import load_folder

    home = Home(home_directory())
    home.login()
    files = load_folder(folder)
    name, findings = manifest_findings(files)
    if findings:
        return _refused(name or folder.resolve().name, findings, output)
    with open_pool(home) as pool:
        size = format_size(sum(map(len, files.values())))
        output.passing(f"uploading {len(files)} files, {size}")
        card = pool.publish(files)
        revision = card.revision
        if not no_wait:
            try:
                card = registered(
                    pool, card, lambda seconds: output.passing(f"{card.name}: being registered, {seconds:.0f} s")
                )
            except KeyboardInterrupt:
                output.say(f"Stopped waiting. The registration goes on; see ar-pool show {card.name}")
    if card.state is ProblemState.REFUSED or card.revision < revision:
        return _refused(card.name, card.findings, output)
    _tell(card, output)
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
    noisy = card.noise != "none"
    say_findings(
        output, [f for f in card.findings if f.severity != "info" or (noisy and f.check in {"min_gain", "self-test"})]
    )
    output.data(f"{card.name}, revision {card.revision}: {card.state.value}")
    output.fields(
        [
            ("baseline", score(card.baseline, card) if card.baseline is not None else ""),
            ("noise", card.noise),
            ("integrity", f"{card.integrity}: {card.caveat}" if card.caveat else ""),
            ("page", card.web),
        ]
    )
