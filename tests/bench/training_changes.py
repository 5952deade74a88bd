"""Changes to the training scripts of the gallery: a chain of real gains for each, and changes that change nothing.

Not here: measuring them. Pure: the text of a file in, other texts out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

SAME_DRAWS, OTHER_DRAWS = "same draws", "other draws"
"""What changes nothing either leaves every number alone or draws others from the same distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is different, in one line, and what to put in the place of what: each part occurs exactly once."""

    note: str
    edits: tuple[tuple[str, str], ...]

    def of(self, text: str) -> str:
        """Return the changed text; ``ValueError`` where a part is missing or not the only one."""
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"{old!r} is in the file {text.count(old)} times, for {self.note!r}")
            text = text.replace(old, new)
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOp:
    """A changed file that trains as before, and of which kind it is."""

    note: str
    kind: str
    text: str


GAINS = {
    "tiny-classifier": (
        Change(note="2.5 times the step", edits=(("LEARNING_RATE = 0.002", "LEARNING_RATE = 0.005"),)),
        Change(note="4 times the step", edits=(("LEARNING_RATE = 0.005", "LEARNING_RATE = 0.02"),)),
        Change(
            note="images shuffled, 2.5 times the step, twice as long",
            edits=(
                ("LEARNING_RATE = 0.02", "LEARNING_RATE = 0.05"),
                ("EPOCHS = 12", "EPOCHS = 25"),
                ("for _ in range(EPOCHS):\n", "for _ in range(EPOCHS):\n    rng.shuffle(images)\n"),
            ),
        ),
        Change(
            note="the validation images too",
            edits=(
                (
                    'for line in Path(f"data/train/{alphabet:02d}.txt").read_text().splitlines():\n',
                    """lines = []
for part in ("train", "validation"):
    lines += Path(f"data/{part}/{alphabet:02d}.txt").read_text().splitlines()
for line in lines:
""",
                ),
            ),
        ),
    ),
    "tiny-gpt": (
        Change(note="4 times the step", edits=(("LEARNING_RATE = 5e-4", "LEARNING_RATE = 2e-3"),)),
        Change(note="2.5 times the step", edits=(("LEARNING_RATE = 2e-3", "LEARNING_RATE = 5e-3"),)),
        Change(
            note="a quarter of the batch; twice the step, warmed up and falling",
            edits=(
                ("LEARNING_RATE = 5e-3", "LEARNING_RATE = 1e-2"),
                ("BATCH = 16", "BATCH = 4"),
                (
                    "        rate = LEARNING_RATE * np.sqrt(",
                    """        done = time.process_time() / (SHARE * budget)
        rate = LEARNING_RATE * min(1.0, step / 30) * max(0.02, 1 - done)
        rate *= np.sqrt(""",
                ),
            ),
        ),
    ),
}
"""For each problem, gains from its start on; each is made on top of those before it."""

_RENAMED = {
    "tiny-classifier": ("sums", "top", "powers", "total", "error", "inputs"),
    "tiny-gpt": ("centred", "mixed", "middle", "logits", "starts", "scores"),
}
"""Names that a script has for values of its own, and never inside a string that matters."""
_EQUIVALENT = {
    "tiny-classifier": (
        ("LETTERS, PIXELS = 8, 64", "LETTERS, PIXELS = 8, 8 * 8"),
        ("LEARNING_RATE * error", "error * LEARNING_RATE"),
        ("top = max(sums)", "top = max(*sums)"),
        ("bias[letter] -= step", "bias[letter] = bias[letter] - step"),
    ),
    "tiny-gpt": (
        ("VOCABULARY, WINDOW, EPSILON = 96, 128, 1e-5", "VOCABULARY, WINDOW, EPSILON = 96, 2**7, 1e-5"),
        ("step += 1", "step = step + 1"),
        ("flat = targets.reshape(-1)", "flat = targets.ravel()"),
        ("np.where(data == 10, 0, data - 31)", "np.where(data != 10, data - 31, 0)"),
    ),
}
_GENERATOR = {
    "tiny-classifier": "rng = random.Random(run_seed)\n",
    "tiny-gpt": 'rng = np.random.default_rng(int(os.environ.get("AR_RUN_SEED") or "0"))\n',
}
_RESEEDED = {
    "tiny-classifier": 'rng = random.Random(f"{{run_seed}} {n}")\n',
    "tiny-gpt": 'rng = np.random.default_rng([{n}, int(os.environ.get("AR_RUN_SEED") or "0")])\n',
}
_WEIGHT = {"tiny-classifier": "rng.gauss(0.0, SPREAD)", "tiny-gpt": "rng.normal(0, 0.02, (rows, columns))"}
"""Drawn from a distribution that is the same when its sign is turned."""


def no_ops(problem: str, text: str, n: int) -> list[NoOp]:
    """Return ``n`` different files that train as ``text`` does: two with other draws after each one without."""
    same, other = _same_draws(problem, text), _other_draws(problem, text)
    return [next(other) if number % 3 else next(same) for number in range(n)]


def _same_draws(problem: str, text: str) -> Iterator[NoOp]:
    for name in _RENAMED[problem]:
        renamed = re.sub(rf"\b{name}\b", f"{name}_here", text)
        yield NoOp(note=f"{name} renamed", kind=SAME_DRAWS, text=renamed)
    for old, new in _EQUIVALENT[problem]:
        change = Change(note=f"{new} for {old}", edits=((old, new),))
        yield NoOp(note=change.note, kind=SAME_DRAWS, text=change.of(text))
    for number in count(1):
        yield NoOp(note=f"remark {number}", kind=SAME_DRAWS, text=f"{text}# Remark {number}.\n")


def _other_draws(problem: str, text: str) -> Iterator[NoOp]:
    """Another seed is the classic among changes that help once: it is proposed most."""
    made, weight = _GENERATOR[problem], _WEIGHT[problem]
    for number in count(1):
        reseeded = (made, _RESEEDED[problem].format(n=number))
        thrown_away = (made, f"{made}for _ in range({number}):\n    rng.random()\n")
        for change in (
            Change(note=f"seed {number}", edits=(reseeded,)),
            Change(note=f"{number} draws thrown away", edits=(thrown_away,)),
            Change(note=f"seed {number}, weights turned", edits=(reseeded, (weight, f"-{weight}"))),
        ):
            yield NoOp(note=change.note, kind=OTHER_DRAWS, text=change.of(text))
