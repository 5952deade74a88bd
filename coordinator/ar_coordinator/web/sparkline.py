"""The course of a problem's best score as a small line for its card; decoration, the headline has the numbers.

Not here: the chart with axes (``chart``).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from ar_coordinator.store.problems import Record

_WIDTH, _HEIGHT, _EDGE = 240.0, 36.0, 3.0
_MOST_STEPS = 60


def sparkline(records: Sequence[Record]) -> Markup:
    """Return an inline picture of the records of the newest revision; empty where there is no course yet."""
    begin = max((i for i, record in enumerate(records) if not record.experiment), default=0)
    course = [record for record in records[begin:] if math.isfinite(record.score)][-_MOST_STEPS:]
    if len(course) < 2:
        return Markup("")
    low, high = min(r.score for r in course), max(r.score for r in course)
    reach = (high - low) or 1.0

    def y(record: Record) -> float:
        return _HEIGHT - _EDGE - (record.score - low) / reach * (_HEIGHT - 2 * _EDGE)

    # One step more than there are records, so that the newest has a width as well.
    width = (_WIDTH - 2 * _EDGE) / len(course)
    path = f"M{_EDGE:.1f} {y(course[0]):.1f}" + "".join(
        f"h{width:.1f}v{y(after) - y(before):.1f}" for before, after in pairwise(course)
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 {:g} {:g}" preserveAspectRatio="none" aria-hidden="true">'
        '<path d="{}h{:.1f}" vector-effect="non-scaling-stroke"/></svg>'
    ).format(_WIDTH, _HEIGHT, path, width)
