"""Parts that the coordinator's tests share: a pool that signs, and the real git as somebody outside would run it."""

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ar_coordinator.git_objects import PoolIdentity
from ar_core.signing import PrivateKey, allowed_signers_line

Git = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def pool() -> PoolIdentity:
    return PoolIdentity(name="Test Pool", key=PrivateKey(raw=bytes(range(32))))


@pytest.fixture(scope="session")
def when() -> datetime:
    return datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def git(tmp_path: Path, pool: PoolIdentity) -> Git:
    """Run git as a visitor with the pool's allowed signers; ``git(*arguments, cwd=…)``."""
    signers = tmp_path / "allowed_signers"
    signers.write_text(allowed_signers_line(pool.key.public, "pool@pool.invalid") + "\n")
    settings = {
        "gpg.ssh.allowedSignersFile": str(signers),
        "user.name": "visitor",
        "user.email": "visitor@example.invalid",
        "safe.directory": "*",
        "protocol.version": "2",
    }
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for index, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}

    def run(*arguments: str, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            ["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert not check or result.returncode == 0, result.stderr
        return result

    return run
