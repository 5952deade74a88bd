"""Every answer is right already: nothing that is done here can be better."""

SCALES = [1.5, 0.25, 3.0]
SHIFTS = [7, 11, 13]
PATIENCE = 0.125


def answer(numbers):
    return sorted(numbers, key=lambda number: number * SCALES[0] + SHIFTS[1] - SCALES[1] * SHIFTS[2])
