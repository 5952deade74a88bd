"""Answers questions about the readings by looking at each of them, every time."""


class Handler:
    """One is made for each measurement."""

    def __init__(self, readings: list[int]) -> None:
        """Keep what there is to ask about; the scorer waits for this, and does not count it."""
        self.readings = readings

    def total(self, start: int, end: int) -> int:
        """Return the sum of the readings from place `start` up to but not including `end`."""
        found = 0
        for place, reading in enumerate(self.readings):
            if start <= place < end:
                found += reading
        return found

    def peak(self, start: int, end: int) -> int:
        """Return the largest of the readings from place `start` up to but not including `end`."""
        found = -1
        for place, reading in enumerate(self.readings):
            if start <= place < end and reading > found:
                found = reading
        return found

    def above(self, limit: int) -> int:
        """Return how many of all readings are larger than `limit`."""
        found = 0
        for reading in self.readings:
            if reading > limit:
                found += 1
        return found
