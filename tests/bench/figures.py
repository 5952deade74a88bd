"""What a bench found: printed as a table, and kept in bench/results.json.

Not here: measuring.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_RESULTS = ROOT / "bench" / "results.json"


def tell(title: str, figures: Mapping[str, object]) -> None:
    """Print the figures, one on each line."""
    print(title)
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"  {name:{width}}  {value}")


def table(title: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows of the same columns under the columns' names."""
    print(title)
    cells = [[*rows[0]], *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def keep(name: str, figures: Mapping[str, object]) -> None:
    """Put the figures of one bench beside those of the others in bench/results.json."""
    _RESULTS.parent.mkdir(exist_ok=True)
    known = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else {}
    _RESULTS.write_text(json.dumps({**known, name: figures}, indent=1) + "\n")
