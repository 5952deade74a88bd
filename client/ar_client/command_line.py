"""How all three commands begin and end: arguments are text, a failure is a message and an exit code, nothing lingers.

Not here: what a command does, and how it says things.
"""

import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

import click

from ar_client.output import ReaderGoneError
from ar_client.standard_streams import prepare_streams
from ar_core.errors import Exit, PoolError
from ar_core.text import one_line

_SAME_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """One command with its sub-commands; ``say`` and ``error`` talk to the person on stderr."""

    group: click.Group
    program: str
    say: Callable[[str], None]
    error: Callable[[PoolError], None]
    interrupted: Exit
    """What it ends with where an interruption reaches the top."""

    def run(self, arguments: Sequence[str]) -> int:
        """Run one command line and return its exit code; the only place where failures become messages."""
        try:
            return self._run(arguments)
        except (ReaderGoneError, BrokenPipeError):
            return int(Exit.DONE)
        except KeyboardInterrupt:
            return int(self.interrupted)

    def _run(self, arguments: Sequence[str]) -> int:
        try:
            _check_text(arguments)
            result = self.group.main(args=list(arguments), prog_name=self.program, standalone_mode=False)
            return result if isinstance(result, int) else int(Exit.DONE)
        except PoolError as error:
            return self._failed(error)
        except click.exceptions.NoArgsIsHelpError as error:
            self.say(error.format_message())
            return int(Exit.USAGE)
        except click.ClickException as error:
            context = error.ctx if isinstance(error, click.UsageError) else None
            hint = f"see `{context.command_path if context else self.program} --help`"
            return self._failed(PoolError("AR-A101", _lowered(error.format_message()), hint=hint))
        except click.Abort:
            return int(self.interrupted)
        except SystemExit as error:
            # click's own for a reader that is gone; else somebody's wish.
            if isinstance(error.__context__, BrokenPipeError):
                raise ReaderGoneError from None
            raise
        except (ReaderGoneError, KeyboardInterrupt):
            raise
        except Exception as error:
            if os.environ.get("AR_DEBUG") == "1":
                raise
            met = one_line(f"{type(error).__name__}: {error}".rstrip(": "))
            said = f"{self.program} met what it did not expect, {met}"
            return self._failed(PoolError("AR-A100", said, hint="set AR_DEBUG=1 to see where, and report it"))

    def _failed(self, error: PoolError) -> int:
        self.error(error)
        return error.exit_code


def end_with(run: Callable[[], int]) -> NoReturn:
    """Run a command line and end the process with its exit code.

    Without Python's orderly end: that waits for threads and for gRPC's calls, which may wait for each other or for a
    pool that does not answer.
    """
    prepare_streams()
    code = int(Exit.UNEXPECTED)
    try:
        code = run()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        with suppress(OSError):
            traceback.print_exc()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


class Interruption:
    """SIGINT and SIGTERM as ``KeyboardInterrupt``; the same one told twice interrupts once.

    A terminal, ``timeout`` and supervisors may send a signal to a process and to its group.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = -math.inf

    def listen(self) -> None:
        """Take SIGTERM, and SIGINT unless the process was started to ignore it."""
        signal.signal(signal.SIGTERM, self)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, self)

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Raise ``KeyboardInterrupt``, unless that was done a moment ago."""
        now = self._clock()
        if now - self._last >= _SAME_SECONDS:
            self._last = now
            raise KeyboardInterrupt


def _check_text(arguments: Sequence[str]) -> None:
    """Raise ``PoolError`` AR-A101 for an argument that is not UTF-8: no message, file or pool could hold it."""
    for number, argument in enumerate(arguments, start=1):
        try:
            argument.encode("utf-8")
        except UnicodeEncodeError:
            # Not what it says: it may be a token that was pasted badly.
            raise PoolError(
                "AR-A101", f"argument {number} is not UTF-8 text", hint="write it in UTF-8, files' names too"
            ) from None


def _lowered(message: str) -> str:
    text = message.rstrip(".")
    return text[:1].lower() + text[1:]
