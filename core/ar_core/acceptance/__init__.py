"""When is an improvement real: rules that turn re-measured pairs of scores into a verdict.

Not here: measuring. Whoever calls brings pairs of candidate and incumbent from the same machine, room and
seed; a volunteer's claim or a stored score never enters.
"""

from ar_core.acceptance.average import better_on_average
from ar_core.acceptance.betting import BettingProcess, cheapest_accept, decide_betting
from ar_core.acceptance.decision import Decision, Verdict
from ar_core.acceptance.exact import decide_exact
from ar_core.acceptance.false_discovery import strict_level
from ar_core.acceptance.ladder import Ladder, step_of
from ar_core.acceptance.pairs import Pair
from ar_core.acceptance.plan import next_batch, publication_pairs
from ar_core.acceptance.simplicity import as_good_within_noise, exactly_as_good
from ar_core.acceptance.student import deviation, interval
from ar_core.acceptance.timing import (
    WARM_UP_PAIRS,
    SignProcess,
    cheapest_timing_accept,
    counts_as_timing,
    decide_timing,
    median_interval,
)
from ar_core.acceptance.window import Window, derive_window, worst_difference

__all__ = [
    "WARM_UP_PAIRS",
    "BettingProcess",
    "Decision",
    "Ladder",
    "Pair",
    "SignProcess",
    "Verdict",
    "Window",
    "as_good_within_noise",
    "better_on_average",
    "cheapest_accept",
    "cheapest_timing_accept",
    "counts_as_timing",
    "decide_betting",
    "decide_exact",
    "decide_timing",
    "derive_window",
    "deviation",
    "exactly_as_good",
    "interval",
    "median_interval",
    "next_batch",
    "publication_pairs",
    "step_of",
    "strict_level",
    "worst_difference",
]
