"""The keyless agent: hill climbing by small random changes, with the kinds of change that pay used most.

It needs no model and no key, only scores. Not here: the kinds of change (``operators``), and evaluating.
"""

import math
from dataclasses import replace
from random import Random

from ar_core.candidate import check_policy, content_hash
from ar_core.metric import improvement
from ar_core.problem import Noise
from ar_core.text import one_line
from ar_search.agent import Best, Observation, Proposal, Task
from ar_search.bandit import Bandit
from ar_search.edits import apply_edits, overlap
from ar_search.operators import OPERATORS, Operator
from ar_search.scene import Change, Scene, gather, set_scene
from ar_search.validate import parses

_DRAWS = 100
"""How often one proposal is drawn anew before the search says that it has nothing."""
_JOINED = "+"
_TWO, _THREE = 0.15, 0.03
"""How often two and three kinds of change are made at once."""
_KICK = 4
"""How many at once where a new direction is asked for."""
_MEASURE = "measure"
_STEPPING = frozenset({"gaussian", "factor", "shift", "scale"})
_LONGER, _SHORTER, _SHORTEST = 1.5, 0.97, 1e-4
"""Steps settle at a length at which one in fourteen pays. Rechenberg's rule (1973) asks for one in five, which is for
smooth scores; where many changes are ties, longer steps find more."""
_TIE, _NOTHING = 0.1, 0.0
_BY_NAME = {operator.name: operator for operator in OPERATORS}


def make_tuner(task: Task, seed: int, *, tolerance: float = 0.0) -> "Tuner":
    """Return a tuner for ``task``; equal arguments and equal observations give equal proposals.

    ``tolerance``, in the metric's unit, is what the mean scores of a noisy problem may differ by luck: only a
    gain above it counts there. Without noise it is not used, and a tie is gone on from.
    """
    return Tuner(task, seed, tolerance)


class Tuner:
    """See ``Agent``. Where the parent's score is not known, the parent is proposed first, to be measured.

    A parent of unknown score that counts as tried is left for the first version that scores at all.
    """

    def __init__(self, task: Task, seed: int, tolerance: float) -> None:
        self._task = task
        self._rng = Random(seed)  # noqa: S311 - a search, no secret
        self._tolerance = tolerance
        self._bandit = Bandit()
        self._seen = set(task.tried)
        self._material = gather(
            path=task.mutable_path,
            hints=task.hints,
            max_bytes=task.max_bytes,
            corpus=task.corpus,
            inspirations=(inspiration.content for inspiration in task.inspirations),
        )
        self._best = Best(content=task.parent, score=task.parent_score)
        self._measured = False
        self._step = 1.0
        self._must_leave = task.explore
        self._settle(task.parent, task.parent_score)

    @property
    def best(self) -> Best:
        """The best version so far, own or somebody else's; the parent until there is a better one."""
        return self._best

    @property
    def gained_enough(self) -> bool:
        """Whether the best beats the task's parent by the problem's smallest gain, so that it may count."""
        best, parent = self._best.score, self._task.parent_score
        if best is None or parent is None:
            return False
        gain = improvement(self._task.direction, best, parent)
        return gain > 0 and gain >= self._task.min_gain.at(parent)

    def propose(self) -> Proposal | None:
        """Return the next candidate: valid UTF-8 within the rules, never tried before, still well formed."""
        scene = self._scene
        if scene is None:
            return None
        measured = self._measure_parent()
        if measured is not None:
            return measured
        for _ in range(_DRAWS):
            proposal = self._draw(scene)
            if proposal is not None:
                return proposal
        return None

    def observe(self, proposal: Proposal, outcome: Observation) -> None:
        """Learn from one evaluation, and go on from its version where it is better, or as good without noise."""
        score = outcome.score if outcome.score is not None and math.isfinite(outcome.score) else None
        self._seen.add(content_hash(proposal.content))
        if score is None:
            self._learn(proposal.operator, _NOTHING)
            return
        gain = self._gain(score, self._current_score)
        paid = self._pays(gain)
        tie = gain == 0 and self._task.noise is Noise.NONE
        self._learn(proposal.operator, 1.0 if paid else _TIE if tie else _NOTHING)
        self._pace(proposal.operator, paid)
        # The first step of a new direction is gone on from wherever it leads.
        leaves = self._must_leave and proposal.operator != _MEASURE
        if paid or tie or leaves:
            self._must_leave = self._must_leave and not leaves
            self._settle(proposal.content, score)
        if self._pays(self._gain(score, self._best.score)):
            self._best = Best(content=proposal.content, score=score)

    def improved(self, content: bytes, score: float) -> None:
        """Go on from somebody else's version where it is better than the best; what was learnt stays."""
        if not math.isfinite(score):
            return
        self._seen.add(content_hash(content))
        if self._gain(score, self._best.score) > 0:
            self._best = Best(content=content, score=score)
            self._settle(content, score)

    def _settle(self, content: bytes, score: float | None) -> None:
        """Search around ``content`` from now on."""
        self._seen.add(content_hash(content))
        self._current = content
        self._current_score = score
        try:
            text = content.decode()
        except UnicodeDecodeError:
            self._scene: Scene | None = None
            return
        self._scene = replace(set_scene(text, self._material), step=self._step)
        self._well_formed = parses(text, self._material.language)
        self._weights = {operator.name: operator.weight(self._scene) for operator in OPERATORS}

    def _measure_parent(self) -> Proposal | None:
        if self._current_score is not None or self._current is not self._task.parent:
            return None
        name = content_hash(self._current)
        if name in self._task.tried or self._measured:
            return None
        self._measured = True
        if check_policy(self._current, self._task.max_bytes) is not None:
            return None
        return Proposal(content=self._current, note="the parent itself, to know its score", operator=_MEASURE)

    def _draw(self, scene: Scene) -> Proposal | None:
        arms, change = self._change(scene)
        if change is None:
            return None
        text = apply_edits(scene.text, change.edits)
        content = text.encode()
        name = content_hash(content)
        # Nothing at all is no improvement that anybody wants.
        if name in self._seen or not text.strip() or check_policy(content, self._task.max_bytes) is not None:
            return None
        operator = _JOINED.join(arms)
        if self._well_formed and not parses(text, self._material.language):
            self._learn(operator, _NOTHING)
            return None
        self._seen.add(name)
        return Proposal(content=content, note=one_line(change.note), operator=operator)

    def _change(self, scene: Scene) -> tuple[list[str], Change | None]:
        """Draw one change, or now and then several that do not touch each other, as one."""
        draw = self._rng.random()
        count = _KICK if self._must_leave else 3 if draw < _THREE else 2 if draw < _THREE + _TWO else 1
        arms: list[str] = []
        whole: Change | None = None
        for _ in range(count):
            operator = self._operator()
            change = operator.change(scene, self._rng) if operator is not None else None
            if operator is None or change is None:
                continue
            edits = (*(whole.edits if whole else ()), *change.edits)
            if not overlap(edits):
                arms.append(operator.name)
                whole = Change(edits=edits, note=f"{whole.note}; {change.note}" if whole else change.note)
        return arms, whole

    def _operator(self) -> Operator | None:
        arm = self._bandit.choose(self._weights, self._rng)
        return _BY_NAME[arm] if arm is not None else None

    def _learn(self, operator: str, reward: float) -> None:
        for arm in operator.split(_JOINED):
            if arm in _BY_NAME:
                self._bandit.reward(arm, reward)

    def _pace(self, operator: str, paid: bool) -> None:
        """Take longer steps after one that paid, shorter ones after one that did not."""
        if self._scene is not None and _STEPPING & set(operator.split(_JOINED)):
            self._step = min(1.0, max(_SHORTEST, self._step * (_LONGER if paid else _SHORTER)))
            self._scene = replace(self._scene, step=self._step)

    def _gain(self, score: float, than: float | None) -> float:
        return math.inf if than is None else improvement(self._task.direction, score, than)

    def _pays(self, gain: float) -> bool:
        return gain > (0.0 if self._task.noise is Noise.NONE else self._tolerance)
