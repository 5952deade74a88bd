"""``ar-pool diff``: what a record changed in the one file."""

import difflib

import click

from ar_client.options import json_option, name_argument
from ar_client.output import Output

DIFF_SCHEMA = "ar.diff/1"


@click.command()
@name_argument
@click.argument("number", required=False, type=click.IntRange(min=1))
@json_option
def diff(name: str, number: int | None, output: Output) -> int:
    """Show what record NUMBER (default: the last) changed.

    Records are the accepted improvements, numbered from 1.

    \b
    Examples:
      ar-pool diff circle-packing-26
      ar-pool diff circle-packing-26 1
    """
    from ar_client.identity import Home, home_directory
    from ar_client.pool import open_pool
    from ar_core.errors import PoolError
    from ar_core.lifecycle import ExperimentState

    with open_pool(Home(home_directory())) as pool:
        newest_first = list(pool.experiments(name, state=ExperimentState.ACCEPTED))
        if not newest_first or (number or 1) > len(newest_first):
            count = len(newest_first)
            raise PoolError("AR-X403", f"{name} has {count} record{'' if count == 1 else 's'}")
        record = newest_first[-number] if number else newest_first[0]
        after = pool.file(name, commit=record.commit)
        before = pool.file(name, commit=record.parent)
    number = number or len(newest_first)
    text = unified_diff(before.content, after.content, after.path)
    if output.as_json:
        output.document(
            {
                "schema": DIFF_SCHEMA, "problem": name, "record": number, "experiment": record.id,
                "commit": after.commit, "before": before.commit, "verified": record.verified,
                "gain": record.gain, "note": record.note, "contributor": record.contributor, "diff": text,
            }
        )  # fmt: skip
        return 0
    output.say(f"Record {number} of {len(newest_first)} by {record.contributor}: {record.note or record.id}")
    output.data(text.removesuffix("\n"))
    return 0


def unified_diff(before: bytes, after: bytes, path: str) -> str:
    """Return the unified diff of two versions of one text file; it says where the last line has no end."""
    changes = difflib.unified_diff(_lines(before), _lines(after), f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in changes)


def _lines(data: bytes) -> list[str]:
    """Return the lines with their ends, split at line feeds only, as diff does."""
    *whole, rest = data.decode("utf-8", errors="replace").split("\n")
    return [f"{line}\n" for line in whole] + ([rest] if rest else [])
