"""``ar-pool init``: a small problem that works, to change into one's own."""

from pathlib import Path

import click

from ar_client.options import json_option
from ar_client.output import Output

INIT_SCHEMA = "ar.init/1"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(("data", "artifact", "service")),
    default="data",
    show_default=True,
    help="data: the scorer reads the file. artifact: the file is a program, and the scorer judges what it writes. "
    "service: the file is code that answers what the scorer asks.",
)
@json_option
def init(folder: Path, kind: str, output: Output) -> int:
    """Write a small working problem to start from.

    \b
    Examples:
      ar-pool init my-problem
      ar-pool init my-model --kind artifact && ar-pool check my-model
      ar-pool init my-cache --kind service
    """
    from ar_client.examples import example_files, write_example

    name, files = example_files(folder.resolve().name, kind)
    write_example(folder, files)
    if output.as_json:
        output.document(
            {"schema": INIT_SCHEMA, "problem": name, "kind": kind, "folder": str(folder), "files": sorted(files)}
        )
        return 0
    output.data("\n".join(str(folder / path) for path in sorted(files)))
    output.say(f"Next: ar-pool check {folder}, then ar-pool publish {folder}")
    return 0
