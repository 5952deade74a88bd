"""The progress chart: everything tried, what was kept and the best so far, as one self-contained SVG.

Not here: choosing the points, caching and serving.
"""

from ar_core.chart.headline import headline
from ar_core.chart.points import RecordPoint, TriedPoint
from ar_core.chart.progress import progress_svg

__all__ = ["RecordPoint", "TriedPoint", "headline", "progress_svg"]
