"""The command ``ar-coordinator``: which sub-commands there are, and what becomes of every failure.

Not here: what a sub-command does (``commands``).
"""

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from ar_coordinator import output
from ar_core.errors import Exit, PoolError

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
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; the only place where failures become messages."""
    as_json = "--json" in arguments
    try:
        result = ar_coordinator.main(args=arguments, prog_name="ar-coordinator", standalone_mode=False)
        return result if isinstance(result, int) else int(Exit.DONE)
    except PoolError as error:
        output.error(error, as_json=as_json)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        output.say(error.format_message())
        return int(Exit.USAGE)
    except click.ClickException as error:
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "ar-coordinator"
        text = error.format_message().rstrip(".")
        failure = PoolError("AR-A101", text[:1].lower() + text[1:], hint=f"see `{path} --help`")
        output.error(failure, as_json=as_json)
        return failure.exit_code
    except (click.Abort, KeyboardInterrupt):
        return int(Exit.INTERRUPTED_TWICE)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.DONE)
    except Exception as error:
        if os.environ.get("AR_DEBUG") == "1":
            raise
        hint = "set AR_DEBUG=1 to see where, and report it"
        failure = PoolError("AR-A100", f"ar-coordinator met {type(error).__name__}: {error}", hint=hint)
        output.error(failure, as_json=as_json)
        return failure.exit_code


def ignore_interrupt() -> None:
    """Let a Ctrl-C at the terminal reach ``serve`` only, which ends its children itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
