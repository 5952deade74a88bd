"""The strict rule: each verification gets its share of one false-discovery budget for the whole log.

Not here: the evidence itself, which any rule of this package gives.
"""

import math

_OFFSET = 9
_POWER = 1.1


def strict_level(alpha: float, trial: int, accepted: int) -> float:
    """Return the level for verification number ``trial`` (from 1), after ``accepted`` accepts so far.

    e-LOND: accept when E_t ≥ 1/(α γ_t (R + 1)) with γ_t ∝ (t + 9)^−1.1 and Σγ = 1, which keeps the expected
    share of false accepts at most ``alpha`` under any dependence (Xu & Ramdas 2024, "Online multiple testing
    with e-values"). Never above 1.
    """
    if trial < 1 or not 0 <= accepted < trial:
        raise ValueError(f"{accepted} accepts before verification {trial} cannot be")
    return min(1.0, alpha * (accepted + 1) * math.pow(trial + _OFFSET, -_POWER) / _TOTAL)


def _hurwitz_zeta(s: float, q: float) -> float:
    """Return Σ (q + k)^−s over k ≥ 0 for s > 1 by Euler and Maclaurin (DLMF 25.11.28)."""
    head = math.fsum(math.pow(q + k, -s) for k in range(20))
    cut = q + 20
    integral, last = math.pow(cut, 1 - s) / (s - 1), math.pow(cut, -s)
    first = s * last / cut
    third = first * (s + 1) * (s + 2) / cut**2
    fifth = third * (s + 3) * (s + 4) / cut**2
    return head + integral + last / 2 + first / 12 - third / 720 + fifth / 30240


_TOTAL = _hurwitz_zeta(_POWER, _OFFSET + 1)
