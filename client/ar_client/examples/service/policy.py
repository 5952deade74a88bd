"""Which page leaves a full cache: the one with the smallest value. The start is "first in, first out"."""

ARRIVED = 1.0
USED = 0.0
COUNTED = 0.0


class Policy:
    """Sees every request of one sequence, in order."""

    def __init__(self) -> None:
        self.now = 0
        self.arrived: dict[int, int] = {}
        self.used: dict[int, int] = {}
        self.count: dict[int, int] = {}

    def request(self, page: int, hit: bool) -> None:
        """Note that `page` is asked for; on a miss it comes into the cache."""
        self.now += 1
        self.used[page] = self.now
        self.count[page] = self.count.get(page, 0) + 1
        if not hit:
            self.arrived[page] = self.now

    def leaves(self, cached: set[int]) -> int:
        """Return which page of the full cache has to go."""
        return min(sorted(cached), key=self.value)

    def value(self, page: int) -> float:
        """Return how much a page is worth keeping."""
        return ARRIVED * self.arrived[page] + USED * self.used[page] + COUNTED * self.count[page]
