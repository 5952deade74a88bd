"""Public names for people who did not choose one: two random words.

Not here: who owns a name.
"""

import random

_FIRST = (
    "amber", "brisk", "calm", "clever", "coral", "dapper", "eager", "fair", "gentle", "golden", "happy", "keen",
    "kind", "lively", "lucky", "mellow", "merry", "neat", "noble", "patient", "plucky", "quick", "quiet", "rapid",
    "sage", "silver", "steady", "sunny", "tidy", "vivid", "warm", "witty",
)  # fmt: skip
_SECOND = (
    "badger", "beaver", "crane", "dolphin", "falcon", "finch", "fox", "gecko", "heron", "ibex", "jay", "kestrel",
    "lark", "lemur", "lynx", "marten", "newt", "otter", "owl", "panda", "puffin", "raven", "robin", "seal", "stork",
    "swan", "tapir", "tern", "toad", "vole", "walrus", "wren",
)  # fmt: skip


def suggestions(source: random.Random, n: int, near: str = "") -> list[str]:
    """Return ``n`` names near a wanted one; or ``n`` of two words, then as many with a number as well."""
    if near:
        return [f"{near[:34]}-{source.randrange(2, 10_000)}" for _ in range(n)]
    pairs = [f"{source.choice(_FIRST)}-{source.choice(_SECOND)}" for _ in range(n)]
    return [*pairs, *(f"{pair}-{source.randrange(2, 10_000)}" for pair in pairs)]
