"""The options and arguments that several sub-commands share.

Not here: what a sub-command does with them.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ar_client.output import Output

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Add --json, which becomes the parameter ``output``."""
    return click.option("--json", "output", is_flag=True, callback=_output, help="Print JSON for other programs.")(
        command
    )


def _output(_ctx: click.Context, _parameter: click.Parameter, value: bool) -> Output:
    return Output(as_json=value)


name_argument = click.argument("name")
no_wait_option = click.option("--no-wait", is_flag=True, help="Do not wait for the outcome.")
reason_option = click.option("--reason", default="", help="Why, for everybody to read.")
