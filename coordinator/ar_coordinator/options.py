"""Options that several sub-commands share.

Not here: what they mean to each.
"""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from platformdirs import user_data_path

from ar_coordinator.data_directory import DataDirectory


def default_directory() -> Path:
    """Return where a pool lives without ``--data``: ``$AR_HOME/pool``, else the platform's place."""
    home = os.environ.get("AR_HOME")
    return (Path(home) if home else user_data_path("auto-research-pool")) / "pool"


def _directory(_ctx: click.Context, _param: click.Parameter, value: str | None) -> DataDirectory:
    return DataDirectory(Path(value).absolute() if value else default_directory().absolute())


data_option: Callable[[Any], Any] = click.option(
    "--data",
    "directory",
    envvar="AR_DATA",
    metavar="DIR",
    callback=_directory,
    help="The pool's data directory (default: $AR_HOME/pool).",
)
json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def set_up_logging() -> None:
    """Log to stderr: lines for people on a terminal, else JSON; never more than what happened."""
    import structlog

    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=True)
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
