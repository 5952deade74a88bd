"""What this machine makes rooms with: its programs, its interpreter, its system call filter.

Not here: what the rooms of a problem are (``rooms``) and how good they are (``probe``).
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from ar_core import text
from ar_core.errors import PoolError
from ar_sandbox import policy, seccomp
from ar_sandbox.bwrap import Bind, RoomPlan, Tools
from ar_sandbox.environment import SEARCH_PATH, VENV, VENV_SETTINGS, Interpreter
from ar_sandbox.memory_cap import MemoryCap, Watched, choices
from ar_sandbox.stage import Stage
from ar_sandbox.supervisor import End, Room, RoomRun

_PAGE = 4096
_STAGE_SLACK = 1024**2
TRIAL_LIMITS = policy.Limits(
    seconds=20, cpus=1, memory=256 * policy.MIB, disk=16 * policy.MIB, processes=64, address_space=None
)


class Machine:
    """Opens stages and runs rooms on them."""

    def __init__(self, tools: Tools, interpreter: Interpreter) -> None:
        self._tools = tools
        self.interpreter = interpreter
        self._seccomp = seccomp.program()
        self.memory_cap: MemoryCap = Watched()
        self.own_proc = True
        """Whether a room gets a ``/proc`` of its own; a container may forbid it, and then a room has none."""

    @property
    def bwrap(self) -> str:
        """The path of bubblewrap."""
        return self._tools.bwrap

    def trial(self) -> None:
        """Run an empty program in a room, and find out how the rooms of this machine are made.

        Raises ``PoolError`` AR-S500 with the fix when there cannot be one.
        """
        refusals = []
        for self.memory_cap in choices():
            for self.own_proc in (True, False):
                refusal = self._refusal()
                if refusal is None:
                    return
                refusals.append(refusal)
        # What the plainest way to make a room said: the fewest things can be wrong with it.
        said = refusals[-2]
        raise PoolError("AR-S500", said, hint=_fix(said))

    def _refusal(self) -> str | None:
        """Return why a room could not be made or run, or ``None``."""
        try:
            with self.stage({}) as stage:
                run = self.run(stage, ("python", "-I", "-S", "-c", "pass"), limits=TRIAL_LIMITS)
        except PoolError as error:
            return error.detail
        if run.end is End.EXIT and run.status == 0:
            return None
        return text.one_line(run.stderr.decode(errors="replace") or run.detail)

    def stage(self, contents: Mapping[str, bytes], *, room_for: int = 0, packages: Path | None = None) -> Stage:
        """Open a stage that is large enough for ``contents`` and ``room_for`` bytes more.

        The ``python`` of its rooms has the packages of the folder ``packages``.
        """
        size = sum(len(data) + _PAGE for data in contents.values()) + room_for + _STAGE_SLACK
        stage = Stage(
            self._tools, self.interpreter, size=size, inodes=16 * len(contents) + 256, packages=packages
        )  # fmt: skip
        if packages is not None:
            try:
                stage.write(VENV_SETTINGS, self.interpreter.venv_settings)
            except BaseException:
                stage.close()
                raise
        return stage

    def _python_binds(self, stage: Stage) -> tuple[Bind, ...]:
        """Return what makes the room's ``python`` one of a virtual environment, where there are packages."""
        if not stage.packages:
            return ()
        return (
            Bind(source=f"{stage.path}/{VENV_SETTINGS}", target=f"{VENV}/{VENV_SETTINGS}"),
            Bind(source=stage.packages, target=self.interpreter.packages),
        )

    def room(
        self,
        stage: Stage,
        command: tuple[str, ...],
        *,
        limits: policy.Limits,
        variables: Mapping[str, str] | None = None,
        binds: tuple[Bind, ...] = (),
        folder: str = "/",
        on_start: Callable[[], None] | None = None,
        held: bool = False,
    ) -> Room:
        """Return the room of one command, to be entered; with ``held`` the command waits for ``release``."""
        shared = self.interpreter.libraries
        libraries = {"LD_LIBRARY_PATH": shared} if shared else {}
        plan = RoomPlan(
            command=command,
            binds=(*self._python_binds(stage), *binds),
            variables=policy.environment(SEARCH_PATH, limits.cpus, {**libraries, **(variables or {})}),
            limits=limits,
            interpreter=self.interpreter,
            python_source=stage.python,
            folder=folder,
            own_proc=self.own_proc,
        )
        return Room(
            self._tools, stage, plan, self._seccomp, on_start, held=held, memory_cap=self.memory_cap
        )  # fmt: skip

    def run(
        self,
        stage: Stage,
        command: tuple[str, ...],
        *,
        limits: policy.Limits,
        variables: Mapping[str, str] | None = None,
        binds: tuple[Bind, ...] = (),
        folder: str = "/",
        on_start: Callable[[], None] | None = None,
    ) -> RoomRun:
        """Run one command in one room and return when nothing of it is left."""
        with self.room(
            stage, command, limits=limits, variables=variables, binds=binds, folder=folder, on_start=on_start
        ) as room:
            return room.wait()


def _fix(said: str) -> str:
    """Return what to do about a first room that could not be made, by what bubblewrap or the kernel said."""
    low = said.lower()
    if "unknown option" in low:
        return (
            "this bubblewrap is older than 0.8: install a newer one (Debian 12, Ubuntu 24.04 and Fedora 38 have it)"
        )
    if "uid map" in low or "apparmor" in low:
        return (
            "Ubuntu keeps programs from making user namespaces: allow it for bwrap with an AppArmor profile "
            "(docs/6-trust-and-sandbox.md has it), or `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
        )
    if "namespace" in low or "operation not permitted" in low:
        return (
            "allow user namespaces: `sudo sysctl -w user.max_user_namespaces=15000`; in a container, start it with "
            "`--security-opt seccomp=unconfined --security-opt systempaths=unconfined`"
        )
    return "run `bwrap --unshare-all --ro-bind / / true` and correct what it says"
