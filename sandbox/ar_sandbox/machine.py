"""What this machine makes rooms with: its programs, its interpreter, its system call filter.

Not here: what the rooms of a problem are (``rooms``) and how good they are (``probe``).
"""

from collections.abc import Callable, Mapping

from ar_core import text
from ar_core.errors import PoolError
from ar_sandbox import policy, seccomp
from ar_sandbox.bwrap import Bind, RoomPlan, Tools
from ar_sandbox.environment import SEARCH_PATH, Interpreter
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

    def trial(self) -> None:
        """Run an empty program in a room; raises ``PoolError`` AR-S500 with the fix when there cannot be one."""
        try:
            with self.stage({}) as stage:
                run = self.run(stage, ("python", "-I", "-S", "-c", "pass"), limits=TRIAL_LIMITS)
        except PoolError as error:
            raise PoolError("AR-S500", error.detail, hint=_fix(error.detail)) from None
        if run.end is not End.EXIT or run.status != 0:
            said = text.one_line(run.stderr.decode(errors="replace") or run.detail)
            raise PoolError("AR-S500", said, hint=_fix(said))

    def stage(self, contents: Mapping[str, bytes], *, room_for: int = 0) -> Stage:
        """Open a stage that is large enough for ``contents`` and ``room_for`` bytes more."""
        size = sum(len(data) + _PAGE for data in contents.values()) + room_for + _STAGE_SLACK
        return Stage(self._tools, self.interpreter, size=size, inodes=16 * len(contents) + 256)

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
        shared = self.interpreter.libraries
        libraries = {"LD_LIBRARY_PATH": shared} if shared else {}
        plan = RoomPlan(
            command=command,
            binds=binds,
            variables=policy.environment(SEARCH_PATH, limits.cpus, {**libraries, **(variables or {})}),
            limits=limits,
            interpreter=self.interpreter,
            python_source=stage.python,
            folder=folder,
        )
        with Room(self._tools, stage, plan, self._seccomp, on_start) as room:
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
