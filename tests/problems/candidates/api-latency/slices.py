"""Lets slices, sum and max do the work."""


class Handler:
    """One is made for each measurement."""

    def __init__(self, readings: list[int]) -> None:
        """Keep them."""
        self.readings = readings

    def total(self, start: int, end: int) -> int:
        """Return the sum from `start` to before `end`."""
        return sum(self.readings[start:end])

    def peak(self, start: int, end: int) -> int:
        """Return the largest from `start` to before `end`."""
        return max(self.readings[start:end])

    def above(self, limit: int) -> int:
        """Return how many are larger than `limit`."""
        return sum([reading > limit for reading in self.readings])
