"""The command ``ar-worker``: which sub-commands there are.

Not here: what a sub-command does (``commands``), and what becomes of a failure (``ar_client.command_line``).
"""

import importlib
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from ar_client.command_line import CommandLine, end_with
from ar_client.output import Output
from ar_core.errors import Exit

COMMANDS = {
    "join": "Enrol this machine with a token, and start working.",
    "start": "Work for the pool that this machine has joined.",
    "status": "Show what this machine does now, and has done.",
    "finish": "Complete what is running, then stop.",
    "stop": "Give the machine back.",
    "leave": "Delete this machine's identity, here and at the pool.",
    "doctor": "Say whether this machine can run strangers' code safely.",
    "whoami": "Show which pool this machine has joined, and as whom.",
}
"""Every sub-command with its line in the list; module and function have the same name."""

_EXAMPLES = """\b
Examples:
  ar-worker doctor
  ar-worker join pool.example.org:7443 --token ARJ1-…
  ar-worker start --cpus 2 --for 2h
  ar-worker stop
"""


class _LazyGroup(click.Group):
    """A group that imports a sub-command when it is called, so that --help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ar_worker.commands.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    help=f"Donate this machine to a pool: it proposes, evaluates in a sandbox, and reports.\n\n{_EXAMPLES}",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Every command takes --json and --help. AR_HOME moves the local state.",
)
@click.version_option(package_name="auto-research-pool", prog_name="ar-worker")
def ar_worker() -> None:
    """Carry the sub-commands."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    end_with(lambda: run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    output = Output(as_json="--json" in arguments)
    # An interruption that comes so far came before the work began: there is nothing to give back.
    line = CommandLine(
        group=ar_worker, program="ar-worker", say=output.say, error=output.error, interrupted=Exit.DONE
    )
    return line.run(arguments)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
