"""What the documents promise against what the code does: links, commands, keys, methods, states."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ar_client.main import ar_pool
from ar_coordinator.main import ar_coordinator
from ar_coordinator.services.permissions import PERMISSIONS
from ar_core.lifecycle import EXPERIMENT_TRANSITIONS
from ar_core.manifest import ManifestError, read_manifest
from ar_worker.main import ar_worker

COMMANDS: dict[str, click.Command] = {"ar-pool": ar_pool, "ar-coordinator": ar_coordinator, "ar-worker": ar_worker}
TABLES = ["", "files", "metric", "metric.best_known"]
TABLES += ["evaluation", "resources", "environment", "acceptance", "search"]
LARGEST_PICTURE = 300_000

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
_PATH_LIKE = re.compile(
    r"^(?:core|sandbox|search|client|worker|coordinator|proto|deploy|docs|problems|tests)/[\w./*-]+$"
)


def pages(root: Path) -> list[Path]:
    first = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")
    return [*(root / name for name in first), *sorted((root / "docs").glob("*.md"))]


def anchors(page: Path) -> set[str]:
    """The names that headings of a page can be linked by, as forges make them."""
    text = _FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        if re.match(r"^[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"{page.name}: {link}"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield f"{page.name}: {link} (no such heading)"


def command_lines(text: str) -> Iterator[str]:
    """Every line of code, in a block or inside a sentence, that calls one of our commands."""
    lines = [line for block in _FENCE.findall(text) for line in block.split("\n")[1:-1]]
    lines += _CODE.findall(_FENCE.sub("", text).replace("\\|", "|"))
    for line in lines:
        for part in line.split("&&"):
            match = re.search(r"(?:^|(?<=\s)|(?<=/))(ar-pool|ar-coordinator|ar-worker) .*", part.strip())
            begins = re.match(
                r"^(?:\$ )?(?:sudo [\w -]*)?(?:[\w./-]*/)?(?:ar-pool|ar-coordinator|ar-worker) (?=[\w-])",
                part.strip(),
            )
            if match and begins:
                yield match[0]


def wrong_with(line: str) -> str | None:
    """Say what a command line names that the command does not have, or ``None``."""
    words = [word for word in shlex.split(re.sub(r"[\[\]]", " ", line)) if word != "…"]
    command = COMMANDS[words.pop(0)]
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return f"{line!r}: no sub-command {words[0]!r}"
        command = found
        words.pop(0)
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        name = word.split("=")[0]
        if name.startswith("-") and name not in {*options, "-h", "--help"} and not re.match(r"^-?\d", name):
            return f"{line!r}: no option {name!r}"
    return None


def known_keys(table: str) -> set[str]:
    """The keys of one table, as the reader itself names them when it meets one that it does not know."""
    manifest = f"[{table}]\nno_such_key = 1\n" if table else "no_such_key = 1\n"
    if table == "metric":
        manifest += "best_known = { value = 1.0 }\n"  # asked for only where it is
    with pytest.raises(ManifestError) as caught:
        read_manifest(manifest.encode())
    fixes = [finding.fix for finding in caught.value.findings if finding.where.endswith("no_such_key")]
    return set(fixes[0].partition("known here: ")[2].split(", "))


def documented_keys(page: str, table: str) -> set[str]:
    heading = f"### [{table}]" if table else "### Top level"
    section = page.partition(f"{heading}\n")[2].partition("\n#")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_every_link_leads_somewhere(root: Path) -> None:
    assert [broken for page in pages(root) for broken in broken_links(page)] == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One heading\n[a](none.md) [b](#one-heading) [c](#two) [d](https://example.org/none)\n")
    assert list(broken_links(page)) == ["page.md: none.md", "page.md: #two (no such heading)"]


def test_every_page_can_be_reached_from_the_first(root: Path) -> None:
    linked = set(_LINK.findall((root / "README.md").read_text()))
    assert [page.name for page in sorted((root / "docs").glob("*.md")) if f"docs/{page.name}" not in linked] == []


def test_every_command_line_is_one_that_works(root: Path) -> None:
    lines = [line for page in pages(root) for line in command_lines(page.read_text())]
    assert len(lines) > 50
    assert [wrong for line in lines if (wrong := wrong_with(line))] == []


@pytest.mark.parametrize(
    "line",
    [
        "ar-pool dance",
        "ar-pool show NAME --colour",
        "ar-coordinator tokens forge",
        "ar-coordinator serve --datas x",
        "ar-worker join HOST:PORT --hours 9-17",
    ],
)
def test_a_wrong_command_line_is_noticed(line: str) -> None:
    assert list(command_lines(f"```\n$ .venv/bin/{line}\n```\n")) == [line]
    assert wrong_with(line) is not None


def test_every_sub_command_is_documented(root: Path) -> None:
    page = (root / "docs" / "5-commands.md").read_text()
    leaves = [path for name, group in COMMANDS.items() for path in _leaves(group, name)]
    assert [path for path in leaves if not re.search(rf"^\| `{path}[` ]", page, re.MULTILINE)] == []


def _leaves(command: click.Command, path: str) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield path
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from _leaves(found, f"{path} {name}")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table or "top")
def test_the_format_page_has_exactly_the_keys_that_are_read(root: Path, table: str) -> None:
    page = (root / "docs" / "3-problem-format.md").read_text()
    known = known_keys(table)
    if not table:
        known -= set(TABLES)
    assert documented_keys(page, table) == known


def test_the_protocol_page_has_every_method_that_is_served(root: Path) -> None:
    page = (root / "docs" / "2-protocol.md").read_text()
    documented = set(re.findall(r"^\| `(\w+)` \| `(\w+)`", page, re.MULTILINE))
    ours = [method for method in PERMISSIONS if method.startswith("/ar_proto.v1.")]
    served = {tuple(method.removeprefix("/ar_proto.v1.").split("/")) for method in ours}
    assert documented == served


def test_the_states_are_those_of_the_life_cycle(root: Path) -> None:
    page = (root / "docs" / "1-architecture.md").read_text()
    section = page.partition("## States of an experiment")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    shown = {before: set(re.findall(r"`(\w+)`", after)) for before, after in rows}
    table = {
        before.value: {state.value for state in after} for before, after in EXPERIMENT_TRANSITIONS.items() if after
    }
    assert shown == table


def test_every_file_that_is_named_is_there(root: Path) -> None:
    named = [(page, name) for page in pages(root) for name in _CODE.findall(_FENCE.sub("", page.read_text()))]
    paths = [(page, name) for page, name in named if _PATH_LIKE.match(name)]
    assert len(paths) > 20
    assert [f"{page.name}: {name}" for page, name in paths if not list(root.glob(name))] == []


def test_the_first_commands_are_two_targets_of_make(root: Path) -> None:
    readme = (root / "README.md").read_text()
    block = readme.partition("## See it work")[2].partition("```\n")[2].partition("```")[0]
    makefile = (root / "Makefile").read_text()
    assert block.split() == ["make", "demo", "make", "test"]
    for target in ("demo", "test"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_pictures_are_small_and_described(root: Path) -> None:
    pictures = list((root / "docs" / "images").glob("*"))
    text = "".join(page.read_text() for page in pages(root))
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < LARGEST_PICTURE
        assert re.search(rf"!\[[^\]]{{20,}}\]\([^)]*{re.escape(picture.name)}\)", text), picture.name
