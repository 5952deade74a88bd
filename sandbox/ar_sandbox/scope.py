"""Memory caps by a systemd scope for each room, which an ordinary user's own service manager makes.

Not here: machines where we may divide a control group ourselves, which is quicker (``cgroup``).

``systemd-run --scope`` has the manager put its own process under the cap and then becomes the command, so that the
room stays our child. It needs to know where the manager listens, and adds variables of its own: ``env -i`` after it
takes all of them away again.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ar_sandbox.memory_cap import PROCESSES_OF_OURS, RoomCap, behind_the_kernel
from ar_sandbox.policy import MIB, Limits

_FOLDERS = "/usr/bin:/bin"
_NEEDED = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
_PATIENCE = 15.0
_TRIAL_BYTES = 64 * MIB
_TREE = "/sys/fs/cgroup"
_TRIAL = 'group=$(sed -n s/^0:://p /proc/self/cgroup) && cd "{tree}$group" && cat memory.max memory.oom.group'
"""Where the manager could not set a limit it says nothing, so the kernel is asked; cgroup v1 has no such files."""


class Scope:
    """A scope of the user's service manager for each room."""

    name = "systemd scope"
    by_kernel = True

    def __init__(self, systemd_run: str, env: str, variables: Mapping[str, str], tree: str = _TREE) -> None:
        self._systemd_run, self._env, self._variables, self._tree = systemd_run, env, variables, tree

    def room(self, limits: Limits) -> RoomCap:
        """Return the words that begin a scope."""
        return _ScopeRoom(self.words(limits), self._variables, limits)

    def words(self, limits: Limits) -> tuple[str, ...]:
        """Return the command that makes a scope with these limits and becomes what follows, without variables."""
        properties = {
            "MemoryMax": limits.memory,
            "MemorySwapMax": 0,
            "TasksMax": limits.processes + PROCESSES_OF_OURS,
            "OOMPolicy": "kill",  # or the kernel would kill one process, and the others could go on
        }
        settings = [word for name, value in properties.items() for word in ("-p", f"{name}={value}")]
        return (self._systemd_run, "--user", "--scope", "--quiet", "--collect", *settings, "--", self._env, "-i")

    def works(self) -> bool:
        """Have a command tell which limits it is under."""
        room = self.room(_trial_limits())
        command = [*room.words, f"PATH={_FOLDERS}", "/bin/sh", "-c", _TRIAL.format(tree=self._tree)]
        try:
            done = subprocess.run(
                command, env=dict(room.variables), stdin=subprocess.DEVNULL, capture_output=True, cwd="/",
                timeout=_PATIENCE, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0 and done.stdout.split() == [str(_TRIAL_BYTES).encode(), b"1"]


class _ScopeRoom:
    def __init__(self, words: tuple[str, ...], variables: Mapping[str, str], limits: Limits) -> None:
        self.words, self.variables = words, variables
        self.watched = behind_the_kernel(limits)

    def take(self, pid: int) -> None:
        pass  # it is under the cap before it is the room

    def ran_out(self) -> bool:
        return True  # bubblewrap outside the room is killed by nobody else

    def kill(self) -> None:
        pass  # the scope ends with its last process

    def close(self) -> None:
        pass


def find(folders: str = _FOLDERS, variables: Mapping[str, str] | None = None, tree: str = _TREE) -> Scope | None:
    """Return the way to cap rooms by scopes, or ``None`` where this user's manager makes none that hold.

    ``folders`` is a search path, ``variables`` the environment (default: ours), ``tree`` where control groups are.
    """
    known = os.environ if variables is None else variables
    systemd_run, env = shutil.which("systemd-run", path=folders), shutil.which("env", path=folders)
    # Without a manager's socket there is nobody to ask, and asking would take its time.
    if not systemd_run or not env or not Path(known.get("XDG_RUNTIME_DIR", ""), "systemd").is_dir():
        return None
    found = Scope(systemd_run, env, {name: known[name] for name in _NEEDED if name in known}, tree)
    return found if found.works() else None


def _trial_limits() -> Limits:
    return Limits(seconds=1, cpus=1, memory=_TRIAL_BYTES, disk=_TRIAL_BYTES, processes=8, address_space=None)
