"""The command ``ar-worker``: which sub-commands there are, and what becomes of every failure.

Not here: what a sub-command does (``commands``).
"""

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from ar_client.output import Output, ReaderGoneError
from ar_core.errors import Exit, PoolError

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
    code = run(sys.argv[1:] if arguments is None else list(arguments))
    sys.stdout.flush()
    sys.stderr.flush()
    # A thread that hangs in a pool's or a room's answer never keeps the machine from its owner.
    os._exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; the only place where failures become messages."""
    output = Output(as_json="--json" in arguments)
    try:
        return _run(arguments, output)
    except ReaderGoneError:
        # Python would try to flush what nobody reads when it ends, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.DONE)
    except KeyboardInterrupt:
        # Before the work began there is nothing to give back.
        return int(Exit.DONE)


def _run(arguments: list[str], output: Output) -> int:
    try:
        result = ar_worker.main(args=arguments, prog_name="ar-worker", standalone_mode=False)
        return result if isinstance(result, int) else int(Exit.DONE)
    except PoolError as error:
        output.error(error)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        output.say(error.format_message())
        return int(Exit.USAGE)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "ar-worker"
        output.error(PoolError("AR-A101", _lowered(error.format_message()), hint=f"see `{command} --help`"))
        return int(Exit.USAGE)
    except click.ClickException as error:
        output.error(PoolError("AR-A101", _lowered(error.format_message())))
        return int(Exit.USAGE)
    except click.Abort:
        return int(Exit.DONE)
    except (ReaderGoneError, KeyboardInterrupt):
        raise
    except Exception as error:
        if os.environ.get("AR_DEBUG") == "1":
            raise
        output.error(_unexpected(error))
        return int(Exit.UNEXPECTED)


def _unexpected(error: Exception) -> PoolError:
    return PoolError(
        "AR-A100",
        f"ar-worker met {type(error).__name__}, which it did not expect",
        hint="set AR_DEBUG=1 to see where, and report it",
    )


def _lowered(message: str) -> str:
    text = message.rstrip(".")
    return text[:1].lower() + text[1:]


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
