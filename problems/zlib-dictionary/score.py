"""Scores a preset dictionary by the bytes that a corpus of short messages takes when deflated with it.

It is not a search: it never changes the dictionary and never runs anything that the candidate wrote. It imports
little, since starting takes it longer than measuring: pathlib and json alone would double its time.
"""

import os
import sys
import unicodedata
import zlib

MAX_BYTES = 2048
# A 4 KiB window reaches the whole dictionary from any message, and is far quicker to set up than the usual 32 KiB.
WINDOW_BITS = 12


def read_dictionary(path: str | os.PathLike[str]) -> bytes:
    """Return the candidate's bytes; ValueError with one sentence if they break a rule of program.md."""
    with open(path, "rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if not raw:
        raise ValueError("the dictionary is empty: write at least one byte of text")
    if len(raw) > MAX_BYTES:
        raise ValueError(f"the dictionary is longer than {MAX_BYTES} bytes: remove something")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("the dictionary is not UTF-8 text: binary content is not allowed") from None
    if any(unicodedata.category(character) == "Cc" and character not in "\n\t" for character in text):
        raise ValueError("the dictionary holds a control character: only text, newlines and tabs are allowed")
    return raw


def deflated_size(message: bytes, dictionary: bytes) -> int:
    """Return the bytes of one message as a raw deflate stream (RFC 1951) that starts from `dictionary`."""
    packer = zlib.compressobj(level=9, wbits=-WINDOW_BITS, memLevel=8, zdict=dictionary)
    return len(packer.compress(message)) + len(packer.flush())


def main() -> int:
    """Print the score; 1 with a sentence on stderr where the candidate is invalid."""
    # The referee has other messages of the same kind, so that fitting the visible ones is no use.
    folder = os.environ.get("AR_HIDDEN") or "data"
    with open(f"{folder}/messages.txt", "rb") as file:
        messages = file.read().splitlines()
    try:
        dictionary = read_dictionary(os.environ.get("AR_MUTABLE") or "dictionary.txt")
    except (OSError, ValueError) as problem:
        print(f"invalid: {problem}", file=sys.stderr)
        return 1
    total = sum(deflated_size(message, dictionary) for message in messages)
    print(f"METRIC bytes={total}\nMETRIC dictionary_bytes={len(dictionary)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
