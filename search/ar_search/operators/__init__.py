"""The kinds of change that the tuner knows, one family in each module.

Not here: which kind to use when. The ``bandit`` learns that.
"""

from ar_search.operators import blocks, chunks, crossover, lines, numeric
from ar_search.operators.operator import Operator

OPERATORS: tuple[Operator, ...] = (
    *numeric.OPERATORS,
    *blocks.OPERATORS,
    *chunks.OPERATORS,
    *lines.OPERATORS,
    *crossover.OPERATORS,
)

__all__ = ["OPERATORS", "Operator"]
