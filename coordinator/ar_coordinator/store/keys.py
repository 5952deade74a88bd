"""Every key that the pool uses in Redis, in one place; all begin with ``ar:``.

Not here: the types behind them, which the modules that write them document.
"""

EVENTS = "ar:events"
"""Stream of what happened: ``kind`` (experiment, problem), ``problem``, ``id``."""
PROBLEMS = "ar:problems"
"""Sorted set of problem names by time of publication."""
QUEUE = "ar:queue"
"""Sorted set of queued experiments by the order in which they came."""
VERIFYING = "ar:verifying"
"""Sorted set of experiments under verification by when the referee is rung for them again (ms)."""
LEASES = "ar:leases"
"""Sorted set of open leases by when they expire (ms)."""
BATCHES = "ar:batches"
"""Sorted set of unfinished batches by when they are rung again (ms)."""
BELLS = "ar:bells"
"""Stream of batches that wait for a verifier, for those that look through the coordinator: ``kind``, ``id``."""
VERIFIERS = "ar:verifiers"
"""Sorted set of verifiers by when they were last heard of (ms)."""
TOKENS = "ar:tokens"
IDENTITIES = "ar:identities"
REGISTRY_DIRTY = "ar:registry-dirty"
"""Set of ``identity:ID`` and ``token:HASH`` that the registry repository does not have yet."""
REGISTRY_WRITING = "ar:registry-writing"
"""Set of those that are being written into it: what changes meanwhile is in the other set again."""
META = "ar:meta"
AUDITS = "ar:audits"
"""Set of the problems that are being audited."""


def problem(name: str) -> str:
    """Hash of one problem."""
    return f"ar:problem:{name}"


def audit(name: str) -> str:
    """Hash of a problem's running audit."""
    return f"ar:audit:{name}"


def contributors(name: str) -> str:
    """Set of the people who contributed to a problem."""
    return f"ar:contributors:{name}"


def experiment(experiment_id: str) -> str:
    """Hash of one experiment."""
    return f"ar:experiment:{experiment_id}"


def experiments(name: str, state: str = "") -> str:
    """Sorted set of a problem's experiments by number, all or those in one state."""
    return f"ar:experiments:{name}:{state}" if state else f"ar:experiments:{name}"


def hashes(name: str, revision: int) -> str:
    """Hash of content hash to experiment."""
    return f"ar:hashes:{name}:{revision}"


def records(name: str) -> str:
    """List of a problem's records as JSON, the baseline first."""
    return f"ar:records:{name}"


def points(name: str) -> str:
    """List of ``number:score`` of everything tried, for the chart."""
    return f"ar:points:{name}"


def ledger_tail(name: str) -> str:
    """Sorted set of settled experiments that the ledger does not have yet, by ledger number."""
    return f"ar:ledger:{name}"


def standing(name: str, what: str) -> str:
    """Sorted set of contributors by how many ``experiments`` they reported, or how many ``seconds`` they donated."""
    return f"ar:standing:{name}:{what}"


def once(identity: str, key: str) -> str:
    """What an idempotency key of a caller became."""
    return f"ar:once:{identity}:{key}"


def quota(identity: str, name: str) -> str:
    """Sorted set of the times of a contributor's proposals to a problem."""
    return f"ar:quota:{identity}:{name}"


def batch(batch_id: str) -> str:
    """Hash of one batch of pairs."""
    return f"ar:batch:{batch_id}"


def verifier(name: str) -> str:
    """String: what a verifier's machine has, as JSON."""
    return f"ar:verifier:{name}"


def blob(sha256: str) -> str:
    """String: the bytes of one blob."""
    return f"ar:blob:{sha256}"


def blob_of(sha256: str) -> str:
    """String: the waiting claim that alone needs a blob; without it the blob stays."""
    return f"ar:blob-of:{sha256}"


def token(secret_hash: str) -> str:
    """Hash of one token."""
    return f"ar:token:{secret_hash}"


def joined(secret_hash: str) -> str:
    """Hash of public key to the identity that this token became."""
    return f"ar:joined:{secret_hash}"


def identity(identity_id: str) -> str:
    """Hash of one identity."""
    return f"ar:identity:{identity_id}"


def name(contributor: str) -> str:
    """The public key that owns a contributor's name."""
    return f"ar:name:{contributor.lower()}"


def session(token_hash: str) -> str:
    """The identity of a session."""
    return f"ar:session:{token_hash}"


def challenge(nonce: str) -> str:
    """The identity that a nonce was made for."""
    return f"ar:challenge:{nonce}"


def lease(lease_id: str) -> str:
    """Hash of one lease."""
    return f"ar:lease:{lease_id}"


def leases_of(identity_id: str) -> str:
    """Set of an identity's open leases."""
    return f"ar:leases-of:{identity_id}"


def trust(identity_id: str) -> str:
    """Hash of what an identity's claims came to, and of the grade of its sandbox."""
    return f"ar:trust:{identity_id}"


def leases_on(name: str) -> str:
    """Set of a problem's open leases."""
    return f"ar:leases-on:{name}"


def in_flight(name: str) -> str:
    """Hash of parent to how many open leases build on it."""
    return f"ar:in-flight:{name}"


def children(name: str) -> str:
    """Hash of parent to how many ended leases built on it."""
    return f"ar:children:{name}"


def attempts(name: str, parent: str) -> str:
    """List of one line on each of the last attempts on a parent, newest first."""
    return f"ar:attempts:{name}:{parent}"


def tried(name: str, revision: int) -> str:
    """List of the content hashes that were tried last."""
    return f"ar:tried:{name}:{revision}"


def public_files(name: str, revision: int) -> str:
    """Set of the blobs that every holder of a lease may read: the bundle and its files."""
    return f"ar:public:{name}:{revision}"


def improved(name: str) -> str:
    """Set of the blobs that were a problem's best."""
    return f"ar:improved:{name}"
