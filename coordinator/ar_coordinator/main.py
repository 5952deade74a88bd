"""The command ``ar-coordinator``: which sub-commands there are.

Not here: what a sub-command does (``commands``), and what becomes of a failure (``ar_client.command_line``).
"""

import importlib
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from ar_client.command_line import CommandLine, end_with
from ar_coordinator import output
from ar_core.errors import Exit

COMMANDS = {
    "init": "Make a data directory for a new pool.",
    "demo": "A whole pool on this machine, for a minute.",
    "serve": "Run a whole pool on this machine.",
    "tokens": "Make, list and revoke join tokens.",
    "workers": "List, ban and unban machines and people.",
    "problems": "List, pause and resume problems.",
    "experiments": "List, show, requeue and release experiments.",
    "audit": "Measure best versions again beside older ones.",
    "verify": "Run a verifier.",
    "referee": "Run the referee.",
    "doctor": "Say whether this machine can run a pool safely.",
}
"""Every sub-command with its line in the list; module and function have the same name."""

_EXAMPLES = """\b
Examples:
  ar-coordinator serve --data ./pool
  ar-coordinator tokens new --data ./pool --role publisher
  ar-coordinator experiments list NAME --data ./pool --status held
"""


class _LazyGroup(click.Group):
    """A group that imports a sub-command when it is called, so that --help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ar_coordinator.commands.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    help=f"Run a pool: the referee that believes nobody's numbers.\n\n{_EXAMPLES}",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="auto-research-pool", prog_name="ar-coordinator")
def ar_coordinator() -> None:
    """Carry the sub-commands."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code."""
    end_with(lambda: run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    as_json = "--json" in arguments
    line = CommandLine(
        group=ar_coordinator,
        program="ar-coordinator",
        say=output.say,
        error=lambda failure: output.error(failure, as_json=as_json),
        interrupted=Exit.INTERRUPTED_TWICE,
    )
    return line.run(arguments)


def ignore_interrupt() -> None:
    """Let a Ctrl-C at the terminal reach ``serve`` only, which ends its children itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
