"""Insertion from the front, one step at a time."""

from collections.abc import Callable


def sort(count: int, less: Callable[[int, int], bool]) -> list[int]:
    """Return 0 to `count - 1`, the smallest first."""
    done: list[int] = []
    for item in range(count):
        place = 0
        while place < len(done) and less(done[place], item):
            place += 1
        done.insert(place, item)
    return done
