"""How many pairs to measure next: few while a bad candidate may still show itself, then more at a time.

Not here: where and by whom they are measured.
"""

SCREENING_PAIRS = 3


def next_batch(pairs: int, max_pairs: int = 200) -> int:
    """Return how many pairs to measure after ``pairs`` undecided ones; 0 when ``max_pairs`` is reached.

    3 to screen, then half as many again each time (3, 5, 8, 12, 18, 27, 41, 62, 93, 140, 200): at most half
    of the work is spent beyond the pair that decides, and a long verification needs few round trips.
    """
    grown = SCREENING_PAIRS if pairs <= 0 else (pairs + 1) // 2
    return max(0, min(grown, max_pairs - max(pairs, 0)))


def publication_pairs(pairs: int) -> int:
    """Return how many fresh runs the published score of an accept is measured on: a quarter, 5 to 20."""
    return min(20, max(5, -(-pairs // 4)))
