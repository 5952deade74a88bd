"""The command ``ar-pool``: which sub-commands there are.

Not here: what a sub-command does (``commands``), and what becomes of a failure (``command_line``).
"""

import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from ar_client.command_line import CommandLine, Interruption, end_with
from ar_client.output import Output
from ar_core.errors import Exit

COMMANDS = {
    "login": "Sign in to a pool with a token.",
    "whoami": "Show which pool this machine is signed in to, and as whom.",
    "init": "Write a small working problem to start from.",
    "check": "Say what the registration would say, without a pool.",
    "publish": "Publish a problem's folder and wait for its registration.",
    "problems": "List the problems of the pool.",
    "show": "Show one problem.",
    "best": "Print the best version of a problem's file.",
    "diff": "Show what a record changed.",
    "log": "List what was tried on a problem, newest first.",
    "watch": "Follow what happens, until Ctrl-C.",
    "leaderboard": "Show who contributed what.",
    "propose": "Propose a candidate by hand and wait for the verdict.",
    "pause": "Stop giving out work on a problem.",
    "resume": "Go on with a paused problem.",
    "withdraw": "Close a problem for good.",
}
"""Every sub-command with its line in the list; module and function have the same name."""

_EXAMPLES = """\b
Examples:
  ar-pool login pool.example.org:7443 --token ARJ1-…
  ar-pool init my-problem && ar-pool check my-problem
  ar-pool publish my-problem
  ar-pool best my-problem -o solution.json
  ar-pool propose my-problem --file solution.json --note "tighter corners"
"""


class _LazyGroup(click.Group):
    """A group that imports a sub-command when it is called, so that --help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ar_client.commands.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    help=f"Publish problems to a pool, browse what it found, propose by hand.\n\n{_EXAMPLES}",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Every command takes --json and --help. AR_HOME moves the local state.",
)
@click.version_option(package_name="auto-research-pool", prog_name="ar-pool")
def ar_pool() -> None:
    """Carry the sub-commands."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code."""
    Interruption().listen()
    end_with(lambda: run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    output = Output(as_json="--json" in arguments)
    line = CommandLine(
        group=ar_pool, program="ar-pool", say=output.say, error=output.error, interrupted=Exit.INTERRUPTED_TWICE
    )
    return line.run(arguments)
