"""Prepares what answers are made of: running sums, peaks of doubling stretches, and the readings in order."""

from bisect import bisect_right
from itertools import accumulate


class Handler:
    """One is made for each measurement."""

    def __init__(self, readings: list[int]) -> None:
        """Prepare."""
        self.sums = [0, *accumulate(readings)]
        self.peaks = [readings]
        width = 1
        while 2 * width <= len(readings):
            last = self.peaks[-1]
            self.peaks.append([max(a, b) for a, b in zip(last, last[width:], strict=False)])
            width *= 2
        self.ordered = sorted(readings)

    def total(self, start: int, end: int) -> int:
        """Return the sum from `start` to before `end`."""
        return self.sums[end] - self.sums[start]

    def peak(self, start: int, end: int) -> int:
        """Return the largest from `start` to before `end`."""
        level = (end - start).bit_length() - 1
        row = self.peaks[level]
        return max(row[start], row[end - (1 << level)])

    def above(self, limit: int) -> int:
        """Return how many are larger than `limit`."""
        return len(self.ordered) - bisect_right(self.ordered, limit)
