"""A problem's ``requirements`` file: exact versions with their hashes, and nothing else.

Not here: installing them (``environment_build``). Pure. What ``uv pip compile --generate-hashes`` and ``pip-compile
--generate-hashes`` write is read; whatever could name another source, another file or a variable is refused, and pip
gets to see our own writing of what was understood, never the publisher's text.
"""

import hashlib
import re
from dataclasses import dataclass

MAX_BYTES = 1024**2
MAX_REQUIREMENTS = 500
MAX_HASHES = 500
MAX_LINE = 65_536
"""Characters of one requirement with its hashes, continuations joined. What follows is looked at only within bounds:
reading takes a time in proportion to the file, whatever is in it."""
MAX_HEAD = MAX_MARKER = 1_000
MAX_BRACKETS = 10
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_EXTRAS = re.compile(r"\[[A-Za-z0-9._,\s-]*\]")
_VERSION = re.compile(r"==\s*(\S{1,100})")
# As PEP 440 has it, the usual other spellings included.
_PROPER_VERSION = re.compile(
    r"v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*"
    r"(?:[-_.]?(?:alpha|beta|preview|pre|rc|a|b|c)[-_.]?[0-9]*)?"
    r"(?:-[0-9]+|[-_.]?(?:post|rev|r)[-_.]?[0-9]*)?"
    r"(?:[-_.]?dev[-_.]?[0-9]*)?"
    r"(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?",
    re.ASCII | re.IGNORECASE,
)
_HASH = re.compile(r"--hash[=\s]\s*(\S+)")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_MARKER_NAMES = (
    "python_version", "python_full_version", "os_name", "sys_platform", "platform_release", "platform_system",
    "platform_version", "platform_machine", "platform_python_implementation", "implementation_name",
    "implementation_version",
)  # fmt: skip
_MARKER_TOKEN = re.compile(
    r"(?:(?P<open>\()|(?P<close>\))|(?P<join>and\b|or\b)|(?P<compare>===?|~=|!=|<=?|>=?|not\s+in\b|in\b)"
    r"|(?P<value>"
    + "|".join(rf"{name}\b" for name in _MARKER_NAMES)
    + r"|'[\w .,+*!-]{0,80}'|\"[\w .,+*!-]{0,80}\"))",
    re.ASCII,
)
_HOW = "write each line like `name==1.2.3 --hash=sha256:…`, as `uv pip compile --generate-hashes` does"


class RequirementsError(ValueError):
    """A requirements file that is not what it must be; the text names the line."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Requirement:
    """One package: its name in lower case with ``-``, its exact version, and the files that may be it."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    """SHA-256, hexadecimal, sorted."""

    @property
    def pin(self) -> str:
        """The package as people write it."""
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """Everything that a problem's environment has, sorted."""

    packages: tuple[Requirement, ...]

    @property
    def text(self) -> str:
        """The same in one fixed form, for pip to read and for a digest."""
        return "".join(
            f"{one.pin}{f' ; {one.marker}' if one.marker else ''}"
            + "".join(f" --hash=sha256:{digest}" for digest in one.hashes)
            + "\n"
            for one in self.packages
        )

    def digest(self, *machine: str) -> str:
        """Return the name of these packages on a machine that the words ``machine`` describe."""
        return hashlib.sha256("\0".join((self.text, *machine)).encode()).hexdigest()


def parse_requirements(data: bytes) -> Requirements:
    """Read a requirements file; raises ``RequirementsError`` for the first line that is not in order."""
    if len(data) > MAX_BYTES:
        raise RequirementsError(f"it is larger than {MAX_BYTES >> 20} MiB")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise RequirementsError("it is not UTF-8 text") from None
    packages: list[Requirement] = []
    seen: dict[tuple[str, str], int] = {}
    for number, line in _logical_lines(text):
        package = _requirement(number, line)
        before = seen.setdefault((package.name, package.marker), number)
        if before != number:
            raise _wrong(number, f"{package.name} stands in line {before} already")
        packages.append(package)
        if len(packages) > MAX_REQUIREMENTS:
            raise _wrong(number, f"more than {MAX_REQUIREMENTS} packages")
    if not packages:
        raise RequirementsError(f"it names no package; {_HOW}, or remove environment.requirements")
    return Requirements(packages=tuple(sorted(packages)))


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Return what is left without comments, continuations joined, with the number of each one's first line."""
    found: list[tuple[int, str]] = []
    parts: list[str] = []
    first = 1
    for number, raw in enumerate(text.split("\n"), start=1):
        line = _COMMENT.sub("", raw.rstrip("\r")).rstrip()
        goes_on = line.endswith("\\")
        if not parts:
            first = number
        parts.append(line.removesuffix("\\").strip())
        if not goes_on:
            found.append((first, " ".join(parts).strip()))
            parts = []
    if any(parts):
        raise _wrong(first, "ends with a backslash at the end of the file")
    return [(number, line) for number, line in found if line]


def _requirement(number: int, line: str) -> Requirement:
    if len(line) > MAX_LINE:
        raise _wrong(number, f"longer than {MAX_LINE:,} characters")
    body, _, rest = line.partition("--hash")
    requirement, _, marker = body.partition(";")
    requirement, marker = requirement.strip(), marker.strip()
    if len(requirement) > MAX_HEAD:
        raise _wrong(number, f"longer than {MAX_HEAD:,} characters before its condition and hashes; {_HOW}")
    if len(marker) > MAX_MARKER:
        raise _wrong(number, f"its condition is longer than {MAX_MARKER:,} characters")
    _refuse_other_forms(number, line, requirement)
    name = _NAME.match(requirement)
    if name is None:
        raise _wrong(number, f"{_shown(requirement)} is not the name of a package; {_HOW}")
    after = requirement[name.end() :].strip()
    extras = _EXTRAS.match(after)
    if extras is not None:
        after = after[extras.end() :].strip()
    version = _VERSION.fullmatch(after)
    if version is None or _PROPER_VERSION.fullmatch(version.group(1)) is None:
        raise _wrong(number, f"{name.group()} has no exact version (found {_shown(after)}); {_HOW}")
    return Requirement(
        name=re.sub(r"[-_.]+", "-", name.group()).lower(),
        version=version.group(1),
        marker=_marker(number, marker),
        hashes=_hashes(number, name.group(), f"--hash{rest}" if rest else ""),
    )


def _refuse_other_forms(number: int, line: str, requirement: str) -> None:
    """Say what is wrong about the forms that pip knows and a problem may not use."""
    if line.startswith("-"):
        option = re.split(r"[\s=]", line, maxsplit=1)[0]
        raise _wrong(number, f"the option {_shown(option)} is not allowed: packages come from each owner's index")
    if "://" in line or re.match(r"\S+\s*(?:\[[^]]*\])?\s*@", requirement):
        raise _wrong(number, f"an address is not allowed, only packages of the package index; {_HOW}")
    if "$" in line:
        raise _wrong(number, f"a variable is not allowed; {_HOW}")
    if re.match(r"(?:\.{0,2}/|\S+\.(?:whl|zip|tar\.\w+)(?:\s|$))", requirement):
        raise _wrong(number, f"a file is not allowed, only packages of the package index; {_HOW}")


def _hashes(number: int, name: str, text: str) -> tuple[str, ...]:
    if not text:
        raise _wrong(number, f"{name} has no hash; {_HOW}")
    found: set[str] = set()
    while text:
        match = _HASH.match(text)
        if match is None:
            raise _wrong(number, f"{_shown(text)} is not a hash; {_HOW}")
        if _SHA256.fullmatch(match.group(1)) is None:
            raise _wrong(number, f"{_shown(match.group(1))} is not sha256: and 64 hexadecimal digits")
        found.add(match.group(1).removeprefix("sha256:"))
        text = text[match.end() :].lstrip()
    if len(found) > MAX_HASHES:
        raise _wrong(number, f"more than {MAX_HASHES} hashes")
    return tuple(sorted(found))


def _marker(number: int, text: str) -> str:
    """Return a marker (PEP 508) with single spaces; only that its words and their order make sense is looked at."""
    words: list[tuple[str, str]] = []
    rest, depth = text, 0
    while rest:
        match = _MARKER_TOKEN.match(rest)
        if match is None or match.lastgroup is None:
            raise _wrong(number, f"{_shown(text)} is not a condition like `python_version < '3.12'`")
        words.append((match.lastgroup, " ".join(match.group().split())))
        depth += {"open": 1, "close": -1}.get(match.lastgroup, 0)
        if depth > MAX_BRACKETS:
            raise _wrong(number, f"its condition has more than {MAX_BRACKETS} brackets within each other")
        rest = rest[match.end() :].lstrip()
    shape = "".join({"open": "(", "close": ")", "join": "j", "compare": "c", "value": "v"}[kind] for kind, _ in words)
    reduced = ""
    while reduced != shape:
        reduced = shape
        shape = shape.replace("vcv", "e").replace("(e)", "e").replace("eje", "e")
    if shape not in {"", "e"}:
        raise _wrong(number, f"{_shown(text)} is not a condition like `python_version < '3.12'`")
    return " ".join(word for _, word in words)


def _shown(text: str) -> str:
    """Return a short piece of the publisher's text for a message."""
    plain = "".join(char if char.isprintable() else "?" for char in text[:60])
    return f"“{plain}{'…' if len(text) > 60 else ''}”"


def _wrong(number: int, what: str) -> RequirementsError:
    return RequirementsError(f"line {number}: {what}")
