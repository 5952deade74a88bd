"""Sort by merging, and short pieces by insertion."""

from collections.abc import Callable

SHORT = 12  # tune: 1..48 int


def sort(count: int, less: Callable[[int, int], bool]) -> list[int]:
    """Return 0 to `count - 1`, the smallest first; `less(a, b)` tells whether `a` is smaller than `b`."""

    def insertion(items: list[int]) -> list[int]:
        done: list[int] = []
        for item in items:
            place = len(done)
            while place > 0 and less(item, done[place - 1]):
                place -= 1
            done.insert(place, item)
        return done

    def merge(left: list[int], right: list[int]) -> list[int]:
        merged: list[int] = []
        while left and right:
            merged.append(right.pop(0) if less(right[0], left[0]) else left.pop(0))
        return merged + left + right

    def halves(items: list[int]) -> list[int]:
        if len(items) <= max(1, SHORT):
            return insertion(items)
        middle = len(items) // 2
        return merge(halves(items[:middle]), halves(items[middle:]))

    return halves(list(range(count)))
