"""Writes fresh text: `data/train.txt` and `data/validation.txt` for everybody, `hidden/test.txt` for the referee.

It is not part of an evaluation. Run it once before publishing in a pool of your own: the hidden text that ships
with the gallery can be read by anyone who has the gallery. Without `--seed` the seed comes from the operating system
and is kept nowhere, so nobody can write more of the same.

The text is the daily book of a harbour town that does not exist: who brought what to whom, what the weather did, what
was owed and paid. Every book has its own people, ships and places, so that their names are learnt from the text
itself, as letters; the grammar is the same in all of them. Entries are short and regular, and some of what they say
can only be known from what was said before: a name comes back as she or he, a count is repeated, a saying is quoted
whole. `data/` and `hidden/` are different days of one book.
"""

import argparse
import random
import secrets
from pathlib import Path

BYTES = {"data/train.txt": 600_000, "data/validation.txt": 60_000, "hidden/test.txt": 120_000}
PEOPLE, SHIPS, PLACES, SAYINGS = 48, 16, 14, 12
ONSETS = [
    "b",
    "br",
    "d",
    "f",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "w",
]
VOWELS = ["a", "e", "i", "o", "u", "ei", "oa"]
CODAS = ["", "", "l", "m", "n", "nd", "r", "rk", "s", "t"]
GOODS = [
    "barley", "beeswax", "candles", "copper nails", "dried plums", "flax", "goose down", "honey", "lamp oil", "linen",
    "oak planks", "oats", "onions", "pitch", "rope", "rye", "salt", "smoked herring", "tallow", "walnuts", "wool",
]  # fmt: skip
HOLDERS = ["baskets", "barrels", "bales", "bundles", "crates", "jars", "sacks"]
WEATHER = [
    "fog until noon", "hail", "a hard frost", "light rain", "no wind at all", "rain all day", "snow in the night",
    "a storm from the west", "sun", "thin ice in the harbour", "wind from the north", "wind from the south",
]  # fmt: skip
REPAIRS = [
    "the bell tower",
    "the crane",
    "the ferry",
    "the long bridge",
    "the mill wheel",
    "the salt house",
    "the well",
]
DRINKS = ["barley water", "black tea", "broth", "cider", "hot milk", "small beer"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
TROUBLES = ["was wet", "was short by a tenth", "came late", "smelled of smoke", "had mice in it", "was not as agreed"]


class Book:
    """One town with its people; every entry is made up anew."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.people = [(word(rng).capitalize(), rng.choice(("she", "he"))) for _ in range(PEOPLE)]
        self.ships = [f"{word(rng)} {word(rng)}".title() for _ in range(SHIPS)]
        self.places = [word(rng).capitalize() + rng.choice(("ford", "wick", "ness", "holm")) for _ in range(PLACES)]
        self.written: set[str] = set()
        """Every entry is written once, so that no line of the hidden text is known from the public one."""
        self.sayings = [self.saying() for _ in range(SAYINGS)]

    def saying(self) -> str:
        """Return words that this town likes to quote."""
        rng = self.rng
        first, second = rng.sample(GOODS, 2)
        return rng.choice(
            (
                f"no {first} without {second}",
                f"who sleeps on {first} dreams of {second}",
                f"{first} keeps, {second} does not",
                f"count the {first} before the {second}",
            )
        )

    def day(self, number: int) -> str:
        """Return the entries of one day, one for each line."""
        rng = self.rng
        lines = [f"{DAYS[number % 7]}, day {number}: {rng.choice(WEATHER)}."]
        makers = (self.sale, self.sale, self.debt, self.ship, self.repair, self.quarrel, self.quote)
        for _ in range(rng.randint(3, 7)):
            line = rng.choice(makers)()
            while line in self.written:
                line = rng.choice(makers)()
            self.written.add(line)
            lines.append(line)
        return "\n".join(lines) + "\n\n"

    def sale(self) -> str:
        """Somebody sells; what is left is what there was without what went."""
        rng = self.rng
        (seller, word_for), (buyer, _) = rng.sample(self.people, 2)
        had, sold = rng.randint(6, 20), rng.randint(1, 5)
        holder, good = rng.choice(HOLDERS), rng.choice(GOODS)
        left = f"{word_for} has {had - sold} left" if rng.random() < 0.7 else f"{buyer} paid at once"
        return f"{seller} sold {sold} of {had} {holder} of {good} to {buyer}; {left}."

    def debt(self) -> str:
        """A debt, and who says so again."""
        rng = self.rng
        (debtor, word_for), (lender, _) = rng.sample(self.people, 2)
        owed = rng.randint(2, 60)
        end = rng.choice((f"{lender} agrees", f"{word_for} will pay on {rng.choice(DAYS)}", "the book says the same"))
        return f"{debtor} owes {lender} {owed} coins. {debtor} says {owed} coins, {end}."

    def ship(self) -> str:
        """A ship comes or goes."""
        rng = self.rng
        name, place = rng.choice(self.ships), rng.choice(self.places)
        how = rng.choice(("came from", "left for"))
        load = " and ".join(rng.sample(GOODS, rng.choice((1, 1, 2))))
        return f"The {name} {how} {place} with {load}."

    def repair(self) -> str:
        """Several people mend something."""
        rng = self.rng
        what = rng.choice(REPAIRS)
        names = [name for name, _ in rng.sample(self.people, rng.choice((2, 3)))]
        return f"{', '.join(names[:-1])} and {names[-1]} mended {what}. {what.capitalize()} holds again."

    def quarrel(self) -> str:
        """A complaint, with the goods named twice."""
        rng = self.rng
        (one, word_for), (other, _) = rng.sample(self.people, 2)
        good = rng.choice(GOODS)
        return f"{one} complains that the {good} of {other} {rng.choice(TROUBLES)}; {word_for} wants other {good}."

    def quote(self) -> str:
        """Somebody quotes a saying."""
        rng = self.rng
        name, word_for = rng.choice(self.people)
        cups = f"{rng.randint(2, 9)} cups of {rng.choice(DRINKS)}"
        return f'"{rng.choice(self.sayings).capitalize()}," said {name} over {cups}, and {word_for} went home.'


def word(rng: random.Random) -> str:
    """Return a word of two syllables that nobody uses."""
    return "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(2))


def main() -> None:
    """Write the three parts of one book."""
    parser = argparse.ArgumentParser(description="Write a fresh book: training, validation and hidden text.")
    parser.add_argument("--seed", default=None, help="any text; default: secret and not kept")
    parser.add_argument("--into", type=Path, default=Path(__file__).resolve().parent.parent, help="problem folder")
    options = parser.parse_args()
    book = Book(random.Random(options.seed or secrets.token_hex(16)))
    number = 1
    for path, size in BYTES.items():
        days: list[str] = []
        while sum(map(len, days)) < size:
            days.append(book.day(number))
            number += 1
        target = options.into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(days), encoding="ascii")


if __name__ == "__main__":
    main()
