"""Reading ``problem.toml``: every unknown key, wrong type or missing file is a finding that names it.

Not here: what the values mean (``problem``) and whether the baseline scores (``ar_sandbox.registration``).
"""

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

from ar_core.manifest_table import ManifestFinding, Table
from ar_core.metric import METRIC_NAME, Direction, MinGain
from ar_core.paths import path_problem, within
from ar_core.problem import (
    MANIFEST_NAME,
    MAX_MUTABLE_BYTES,
    Acceptance,
    BestKnown,
    Environment,
    Evaluation,
    Files,
    Guard,
    Kind,
    Metric,
    Noise,
    Problem,
    Resources,
    Search,
)
from ar_core.quantities import as_float, format_size, parse_duration, parse_percent, parse_size
from ar_core.text import is_bidirectional, is_control, is_hidden, one_line

MAX_FILES = 2000
MAX_BUNDLE_BYTES = 64 * 1024**2
MAX_TITLE = 120
MAX_SUMMARY = 500
MAX_UNIT = 24
MAX_TEXT = 1000
"""Characters of any other text, and of a list's entries."""
_MOST_DISK = 64 * 1024**3
"""All that a room writes lies in memory."""
_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
NAME = re.compile(r"^[a-z0-9-]{3,64}\Z")


class ManifestError(ValueError):
    """A manifest that cannot be read as a problem; carries every finding."""

    def __init__(self, findings: list[ManifestFinding]) -> None:
        super().__init__("; ".join(f"{f.where}: {f.message}" for f in findings))
        self.findings = findings


_LIKE_A_COMMAND = 'write a list like ["python", "score.py"]'
_NO_WORDS: tuple[str, ...] = ()
_NO_GUARDS: tuple[Guard, ...] = ()
E = TypeVar("E", bound=StrEnum)


class _Printed(float):
    """A number that remembers how it was printed: ``2.50`` has two decimals."""

    def __new__(cls, text: str) -> "_Printed":
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str


def read_manifest(data: bytes) -> Problem:
    """Return the problem that ``data`` (a ``problem.toml``) describes; raises ``ManifestError``."""
    findings: list[ManifestFinding] = []
    try:
        # ValueError: not UTF-8, not TOML, or a number with more digits than Python reads.
        values = tomllib.loads(data.decode("utf-8"), parse_float=_Printed)
    except (ValueError, RecursionError) as error:
        finding = ManifestFinding(where=MANIFEST_NAME, message=one_line(str(error)), fix="write valid TOML")
        raise ManifestError([finding]) from None
    problem = _read_problem(Table(values, "", findings))
    if findings:
        raise ManifestError(findings)
    return problem


def check_files(problem: Problem, files: Mapping[str, bytes]) -> list[ManifestFinding]:
    """Return what is wrong between the manifest and the files of its folder (path to content)."""
    findings: list[ManifestFinding] = []

    def fail(where: str, message: str, fix: str) -> None:
        findings.append(ManifestFinding(where=where, message=message, fix=fix))

    if len(files) > MAX_FILES:
        fail("files", f"{len(files)} files, at most {MAX_FILES} are allowed", "pack data into fewer files")
    if sum(map(len, files.values())) > MAX_BUNDLE_BYTES:
        fail("files", f"more than {MAX_BUNDLE_BYTES >> 20} MiB in all", "make the data smaller")
    for path in files:
        trouble = path_problem(path)
        if trouble is not None:
            fail(one_line(path), trouble, "rename or remove it")
        elif any(parent in files for parent in _folders_of(path)):
            fail(one_line(path), "lies below a path that is a file", "rename or remove one of them")
    for key, path in (("files.program", problem.files.program), ("files.mutable", problem.files.mutable)):
        if path not in files:
            fail(key, f"{path} is not in the folder", "create the file or correct the key")
        elif problem.is_hidden(path):
            fail(key, f"{path} is hidden as well", "keep it out of files.hidden")
    for key, entries in (("files.locked", problem.files.locked), ("files.hidden", problem.files.hidden)):
        for entry in entries:
            if not any(within(path, entry) for path in files):
                fail(key, f"{entry} is not in the folder", "create it or remove it from the list")
    for entry in problem.files.hidden:
        if entry.rstrip("/") in files:
            fail("files.hidden", f"{entry} is a file", "name a folder that holds the hidden files")
    if any(within(problem.files.mutable, entry) for entry in problem.files.locked):
        fail(
            "files.mutable",
            f"{problem.files.mutable} is locked as well",
            "one file is mutable, the others locked",
        )
    mutable = files.get(problem.files.mutable)
    if mutable is not None and len(mutable) > problem.files.max_bytes:
        fail("files.max_bytes", f"{problem.files.mutable} already has {len(mutable)} bytes", "raise the limit")
    requirements, where = problem.environment.requirements, "environment.requirements"
    if requirements and requirements not in files:
        fail(where, f"{requirements} is not in the folder", "create the file or remove the key")
    elif requirements and not problem.is_locked(requirements):
        fail(where, f"{requirements} is mutable or hidden", "name a file that every machine gets as it is")
    return findings


def _folders_of(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _read_problem(top: Table) -> Problem:
    name = top.take("name", _name, "", required=True)
    title = top.take("title", _title, "", required=True)
    summary = top.take("summary", _text_of(MAX_SUMMARY), "")
    licence = top.take("licence", _text, "")
    tags = top.take("tags", _texts, _NO_WORDS)
    files = _read_files(top.table("files"))
    metric = _read_metric(top.table("metric"))
    evaluation = _read_evaluation(top.table("evaluation"))
    resources = _read_resources(top.table("resources"))
    environment = _read_environment(top.table("environment"))
    acceptance = _read_acceptance(top.table("acceptance"))
    search = _read_search(top.table("search"))
    if evaluation.kind is Kind.INPROCESS:
        _check_inprocess(top, files, acceptance)
    top.close()
    return Problem(
        name=name, title=title, summary=summary, licence=licence, tags=tags, files=files, metric=metric,
        evaluation=evaluation, resources=resources, environment=environment, acceptance=acceptance, search=search,
    )  # fmt: skip


def _check_inprocess(top: Table, files: Files, acceptance: Acceptance) -> None:
    """Refuse what cannot be kept from a candidate that shares a room with its scorer."""
    if files.hidden:
        said = "cannot be hidden: an inprocess problem has one room, and the candidate runs in it"
        top.fail("files.hidden", said, "remove it, or separate candidate and scorer: artifact or service")
    if acceptance.simpler:
        said = "is not for inprocess: a shorter file that prints the same number proves nothing"
        top.fail("acceptance.simpler", said, "remove it")


def _read_files(table: Table) -> Files:
    files = Files(
        program=table.take("program", _path, "", required=True),
        mutable=table.take("mutable", _path, "", required=True),
        locked=table.take("locked", _paths, _NO_WORDS),
        hidden=table.take("hidden", _paths, _NO_WORDS),
        max_bytes=table.take("max_bytes", parse_size, MAX_MUTABLE_BYTES),
    )
    if not 1 <= files.max_bytes <= MAX_MUTABLE_BYTES:
        table.fail("max_bytes", f"{files.max_bytes} is outside 1 … {MAX_MUTABLE_BYTES}", "at most 256 KiB")
    if len(files.hidden) > 1:
        table.fail("hidden", "names more than one folder", "put the hidden files into one folder")
    if files.program and files.program == files.mutable:
        table.fail("mutable", "is the program as well", "the mutable file is a file of its own")
    if files.mutable == MANIFEST_NAME:
        table.fail("mutable", f"{MANIFEST_NAME} cannot be the mutable file", "name the file that may change")
    table.close()
    return files


def _read_metric(table: Table) -> Metric:
    bounds = table.take("range", _pair, None)
    best_known: BestKnown | None = None
    if "best_known" in table.values:
        best = table.table("best_known")
        value = best.take("value", _number, 0.0, required=True)
        source, date = best.take("source", _text, ""), best.take("date", _text, "")
        best_known = BestKnown(
            value=value, source=source, date=date, decimals=_printed_decimals(best.values.get("value"))
        )
        best.close()
    metric = Metric(
        name=table.take("name", _metric_name, "score", required=True),
        direction=table.take("direction", _direction, Direction.MAXIMIZE, required=True),
        unit=table.take("unit", _text_of(MAX_UNIT), ""),
        low=bounds[0] if bounds else None,
        high=bounds[1] if bounds else None,
        decimals=table.take("decimals", _whole(0, 17), 6),
        best_known=best_known,
    )
    table.close()
    return metric


def _read_evaluation(table: Table) -> Evaluation:
    kind = table.take("kind", _kind, Kind.DATA, required=True)
    budget = table.take("time_budget", _positive_duration, 60.0, required=True)
    has_run = kind in {Kind.ARTIFACT, Kind.SERVICE}
    evaluation = Evaluation(
        kind=kind,
        score=table.take("score", _command, _NO_WORDS, required=True),
        run=table.take("run", _command, _NO_WORDS, required=has_run),
        time_budget=budget,
        score_timeout=table.take("score_timeout", _positive_duration, budget),
    )
    if evaluation.run and not has_run:
        table.fail("run", "is for artifact and service only", 'remove it, or set kind = "artifact"')
    table.close()
    return evaluation


def _read_resources(table: Table) -> Resources:
    address_space = table.take("address_space", _address_space, True)
    resources = Resources(
        cpus=table.take("cpus", _whole(1, 1024), 1),
        memory=table.take("memory", _size(16 * 1024**2, "16MiB"), 1024**3),
        disk=table.take("disk", _size(64 * 1024, "64KiB", most=_MOST_DISK), 64 * 1024**2),
        processes=table.take("processes", _whole(1, 4096), 64),
        gpus=table.take("gpus", _whole(0, 64), 0),
        limit_address_space=address_space,
    )
    table.close()
    return resources


def _read_environment(table: Table) -> Environment:
    environment = Environment(
        python=table.take("python", _text, ">=3.11"),
        requirements=table.take("requirements", _path, ""),
        system=table.take("system", _programs, _NO_WORDS),
    )
    table.close()
    return environment


def _read_acceptance(table: Table) -> Acceptance:
    acceptance = Acceptance(
        noise=table.take("noise", _noise, Noise.NONE),
        min_gain=table.take("min_gain", _gain, MinGain()),
        window=table.take("window", _pair, None),
        max_pairs=table.take("max_pairs", _whole(2, 10_000), 200),
        guards=table.take("guards", _guards, _NO_GUARDS),
        max_plausible_gain=table.take("max_plausible_gain", _gain, None),
        simpler=table.take("simpler", _truth, default=False),
        strict=table.take("strict", _truth, default=False),
    )
    if acceptance.window and acceptance.noise is not Noise.SEED:
        table.fail("window", 'is for noise = "seed" only', "remove it")
    if acceptance.simpler and acceptance.noise is Noise.TIMING:
        table.fail("simpler", 'is not for noise = "timing"', "remove it")
    if acceptance.simpler and acceptance.noise is Noise.SEED and not acceptance.min_gain.value:
        table.fail("simpler", "needs a min_gain to be as good within", "set acceptance.min_gain")
    if acceptance.strict and acceptance.noise is Noise.NONE:
        table.fail(
            "strict", 'is for noise = "seed" and "timing"', "remove it; without noise nothing is accepted by luck"
        )
    table.close()
    return acceptance


def _read_search(table: Table) -> Search:
    search = Search(
        policy=table.take("policy", _policy, "champion"),
        tune=table.take("tune", _texts, _NO_WORDS),
        lease=table.take("lease", _positive_duration, 300.0),
    )
    table.close()
    return search


def _text_of(most: int) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{value!r} is not text; write it in quotes")
        if len(value) > 4 * most or len(text := one_line(value, limit=4 * most)) > most:
            raise ValueError(f"has {len(value):,} characters, at most {most:,} are allowed")
        return text

    return read


_text = _text_of(MAX_TEXT)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is not true or false")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > 100:
        raise TypeError("is not a list of texts")
    return tuple(_text(item) for item in value)


def _programs(value: object) -> tuple[str, ...]:
    names = _texts(value)
    for name in names:
        if not _PROGRAM.fullmatch(name):
            raise ValueError(f"{name!r} is not a program's name, such as sqlite3; a path or an option is none")
    return names


def _title(value: object) -> str:
    text = _text_of(MAX_TITLE)(value)
    if not text:
        raise ValueError("is empty")
    return text


def _name(value: object) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a name of 3 to 64 characters out of a-z, 0-9 and -")
    return value


def _metric_name(value: object) -> str:
    if not isinstance(value, str) or not METRIC_NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a metric's name (letters, digits, _ . -)")
    return value


def _path(value: object) -> str:
    # As written: what is invisible in a path is refused, not dropped.
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text; write it in quotes")
    path = value
    trouble = path_problem(path.rstrip("/") if path != "/" else path)
    if trouble is not None:
        raise ValueError(f"{path!r}: {trouble}")
    return path


def _paths(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_FILES:
        raise TypeError("is not a list of paths")
    return tuple(_path(item) for item in value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a finite number")
    number = as_float(value)
    if not math.isfinite(number):
        raise ValueError("is not a finite number")
    return number


def _pair(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        raise TypeError(f"{value!r} is not two numbers like [0.0, 1.0]")
    low, high = _number(value[0]), _number(value[1])
    if low >= high:
        raise ValueError(f"the lower end {low:g} is not below the upper end {high:g}")
    return low, high


def _whole(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{value!r} is not a whole number from {low} to {high}")
        return value

    return read


def _size(least: int, shown: str, *, most: float = math.inf) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = parse_size(value)
        if number < least:
            raise ValueError(f"{value!r} is below {shown}")
        if number > most:
            raise ValueError(f"{value!r} is over {format_size(int(most))}")
        return number

    return read


def _positive_duration(value: object) -> float:
    seconds = parse_duration(value)
    if not 0.05 <= seconds <= 86400:
        raise ValueError(f"{value!r} is outside 50ms … 24h")
    return seconds


def _direction(value: object) -> Direction:
    return Direction.parse(_text(value))


def _kind(value: object) -> Kind:
    return _one_of(Kind, value)


def _noise(value: object) -> Noise:
    return _one_of(Noise, value)


def _one_of(choices: type[E], value: object) -> E:
    try:
        return choices(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is not one of {', '.join(c.value for c in choices)}") from None


def _policy(value: object) -> str:
    text = _text(value)
    if text not in {"champion", "greedy", "islands", "root"}:
        raise ValueError(f"{text!r} is not one of champion, greedy, islands, root")
    return text


def _word(value: object) -> str:
    """Return one word of a command as written, spaces and line ends included."""
    if not isinstance(value, str) or len(value) > 4096:
        raise TypeError("is not a list of texts of at most 4096 characters")
    if any(is_control(c) or is_bidirectional(c) or is_hidden(c) for c in value):
        raise ValueError(f"{value!a} has a control or invisible character")
    return value


def _command(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        what = "text" if isinstance(value, str) else repr(value)
        raise TypeError(f"is {what}, not a list of words; {_LIKE_A_COMMAND}")
    if len(value) > 100:
        raise ValueError(f"has {len(value):,} words, at most 100 are allowed")
    words = tuple(_word(item) for item in value)
    if not words or not words[0]:
        raise ValueError(f"is empty; {_LIKE_A_COMMAND}")
    return words


def _gain(value: object) -> MinGain:
    if isinstance(value, str):
        return MinGain(value=parse_percent(value), relative=True)
    number = _number(value)
    if number < 0:
        raise ValueError(f"{number:g} is below 0")
    return MinGain(value=number)


def _address_space(value: object) -> bool:
    if value != "unlimited":
        raise ValueError(f'{value!r} is not "unlimited"; leave the key out for the usual limit')
    return False


def _guards(value: object) -> tuple[Guard, ...]:
    if not isinstance(value, list) or len(value) > 16:
        raise TypeError('is not a list like [{ metric = "size_bytes", max_regression = "20%" }]')
    return tuple(_guard(item) for item in value)


def _guard(value: object) -> Guard:
    if not isinstance(value, dict) or not {"metric", "max_regression"} <= set(value):
        raise ValueError("a guard has metric and max_regression")
    unknown = set(value) - {"metric", "max_regression", "direction"}
    if unknown:
        raise ValueError(f"a guard has no key {min(unknown)!r}")
    return Guard(
        metric=_metric_name(value["metric"]),
        max_regression=parse_percent(value["max_regression"]),
        direction=Direction.parse(_text(value.get("direction", "minimize"))),
    )


def _printed_decimals(value: object) -> int:
    if not isinstance(value, _Printed):
        return 0
    mantissa, _, exponent = value.text.lower().replace("_", "").partition("e")
    decimals = len(mantissa.partition(".")[2]) - (int(exponent) if exponent else 0)
    return max(0, decimals)
