"""Find what is in order already, then merge the shortest neighbours first, guessing ends before halving."""

from collections.abc import Callable


def sort(count: int, less: Callable[[int, int], bool]) -> list[int]:
    """Return 0 to `count - 1`, the smallest first."""
    if count < 2:
        return list(range(count))
    runs: list[list[int]] = []
    start = 0
    while start < count:
        run = [start]
        if start + 1 < count:
            down = less(start + 1, start)
            run.append(start + 1)
            while run[-1] + 1 < count and less(run[-1] + 1, run[-1]) is down:
                run.append(run[-1] + 1)
            start = run[-1] + 1
            if down:
                run.reverse()
        else:
            start += 1
        runs.append(run)

    def insert(done: list[int], item: int, low: int, high: int) -> int:
        while low < high:
            middle = (low + high) // 2
            if less(item, done[middle]):
                high = middle
            else:
                low = middle + 1
        done.insert(low, item)
        return low

    def merge(left: list[int], right: list[int]) -> list[int]:
        if len(right) > 4 * len(left) or len(left) > 4 * len(right):
            few, many = sorted((left, right), key=len)
            place = 0
            for item in few:
                place = insert(many, item, place, len(many)) + 1
            return many
        if not less(right[0], left[-1]):
            return left + right
        merged: list[int] = []
        a = b = 0
        while a < len(left) and b < len(right):
            if less(right[b], left[a]):
                merged.append(right[b])
                b += 1
            else:
                merged.append(left[a])
                a += 1
        return merged + left[a:] + right[b:]

    while len(runs) > 1:
        place = min(range(len(runs) - 1), key=lambda n: len(runs[n]) + len(runs[n + 1]))
        runs[place : place + 2] = [merge(runs[place], runs[place + 1])]
    return runs[0]
