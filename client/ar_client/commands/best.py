"""``ar-pool best``: the file that everybody tries to beat."""

from pathlib import Path

import click

from ar_client.options import json_option, name_argument
from ar_client.output import Output

FILE_SCHEMA = "ar.file/1"


@click.command()
@name_argument
@click.option("-o", "--output-file", "target", type=click.Path(path_type=Path), help="Write it to this file.")
@json_option
def best(name: str, target: Path | None, output: Output) -> int:
    """Print the best version of a problem's file.

    \b
    Examples:
      ar-pool best circle-packing-26 > solution.json
      ar-pool best circle-packing-26 -o solution.json
    """
    from ar_client.identity import Home, home_directory
    from ar_client.pool import open_pool
    from ar_client.wording import score
    from ar_core.candidate import sha256
    from ar_core.errors import PoolError

    with open_pool(Home(home_directory())) as pool:
        found = pool.file(name)
        card = pool.problem(name)
    if target is not None:
        try:
            target.write_bytes(found.content)
        except OSError as error:
            raise PoolError("AR-A106", f"{target}: {error.strerror}") from None
    if output.as_json:
        content = found.content.decode("utf-8", errors="replace") if target is None else None
        output.document(
            {
                "schema": FILE_SCHEMA, "problem": name, "path": found.path, "commit": found.commit,
                "score": found.score, "sha256": sha256(found.content), "bytes": len(found.content),
                "file": str(target) if target else None, "content": content,
            }
        )  # fmt: skip
    elif target is None:
        output.content(found.content)
    else:
        output.say(f"{target}: {score(found.score, card)} (commit {found.commit[:12]})")
    return 0
