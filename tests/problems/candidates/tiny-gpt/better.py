"""Trains a small character transformer on data/train.txt and writes its weights; forward and backward pass are here.

This is the one file that may change: the rules are in program.md.
"""

import json
import os
import struct
import time
from pathlib import Path

import numpy as np

WIDTH = 48  # tune: 16..128 int
HEADS = 4
LAYERS = 2  # tune: 1..4 int
HIDDEN = 192  # tune: 32..512 int
BATCH = 8  # tune: 2..64 int
LEARNING_RATE = 1e-2  # tune: 1e-4..3e-2 log
SHARE = 0.6  # of the time budget is spent on steps, as processor time
VOCABULARY, WINDOW, EPSILON = 96, 128, 1e-5

budget = float(os.environ.get("AR_TIME_BUDGET") or "30")
rng = np.random.default_rng(int(os.environ.get("AR_RUN_SEED") or "0"))


def make_parameters() -> dict[str, np.ndarray]:
    """Return every array of the model, with random weights."""

    def weights(rows: int, columns: int) -> np.ndarray:
        return rng.normal(0, 0.02, (rows, columns)).astype(np.float32)

    def same(value: float, count: int) -> np.ndarray:
        return np.full(count, value, dtype=np.float32)

    made = {
        "embedding": weights(VOCABULARY, WIDTH), "positions": weights(WINDOW, WIDTH),
        "output": weights(WIDTH, VOCABULARY), "norm.gain": same(1, WIDTH), "norm.bias": same(0, WIDTH),
    }  # fmt: skip
    for layer in range(LAYERS):
        made |= {
            f"{layer}.norm1.gain": same(1, WIDTH), f"{layer}.norm1.bias": same(0, WIDTH),
            f"{layer}.norm2.gain": same(1, WIDTH), f"{layer}.norm2.bias": same(0, WIDTH),
            f"{layer}.wq": weights(WIDTH, WIDTH), f"{layer}.wk": weights(WIDTH, WIDTH),
            f"{layer}.wv": weights(WIDTH, WIDTH), f"{layer}.wo": weights(WIDTH, WIDTH),
            f"{layer}.w1": weights(WIDTH, HIDDEN), f"{layer}.b1": same(0, HIDDEN),
            f"{layer}.w2": weights(HIDDEN, WIDTH), f"{layer}.b2": same(0, WIDTH),
        }  # fmt: skip
    return made


def norm_forward(x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Layer normalisation over the last axis."""
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = 1 / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + EPSILON)
    unit = centred * scale
    return unit * gain + bias, (unit, scale, gain)


def norm_backward(dy: np.ndarray, kept: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of input, gain and bias."""
    unit, scale, gain = kept
    du = dy * gain
    dx = scale * (du - du.mean(axis=-1, keepdims=True) - unit * np.mean(du * unit, axis=-1, keepdims=True))
    return dx, (dy * unit).sum(axis=0), dy.sum(axis=0)


def loss_and_gradients(p: dict[str, np.ndarray], tokens: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
    """Return the mean loss of `tokens` (batch × length + 1) in nats, and its gradient for every array of `p`."""
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    batch, length = inputs.shape
    rows, per_head = batch * length, p["0.wq"].shape[1] // HEADS
    future = np.triu(np.full((length, length), -1e9, dtype=np.float32), 1)

    def split(x: np.ndarray) -> np.ndarray:
        return x.reshape(batch, length, HEADS, per_head).swapaxes(1, 2)

    def join(x: np.ndarray) -> np.ndarray:
        return x.swapaxes(1, 2).reshape(rows, HEADS * per_head)

    x = (p["embedding"][inputs] + p["positions"][:length]).reshape(rows, -1)
    kept = []
    for layer in range(LAYERS):
        h, norm1 = norm_forward(x, p[f"{layer}.norm1.gain"], p[f"{layer}.norm1.bias"])
        q, k, v = (split(h @ p[f"{layer}.{name}"]) for name in ("wq", "wk", "wv"))
        scores = q @ k.swapaxes(-1, -2) / np.float32(np.sqrt(per_head)) + future
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = join(scores @ v)
        x = x + mixed @ p[f"{layer}.wo"]
        h2, norm2 = norm_forward(x, p[f"{layer}.norm2.gain"], p[f"{layer}.norm2.bias"])
        middle = np.maximum(h2 @ p[f"{layer}.w1"] + p[f"{layer}.b1"], 0)
        x = x + middle @ p[f"{layer}.w2"] + p[f"{layer}.b2"]
        kept.append((h, norm1, q, k, v, scores, mixed, h2, norm2, middle))
    h, norm = norm_forward(x, p["norm.gain"], p["norm.bias"])
    logits = h @ p["output"]
    logits -= logits.max(axis=-1, keepdims=True)
    dlogits = np.exp(logits)
    total = dlogits.sum(axis=-1, keepdims=True)
    flat = targets.reshape(-1)
    loss = float(np.mean(np.log(total[:, 0]) - logits[np.arange(rows), flat]))

    dlogits /= total
    dlogits[np.arange(rows), flat] -= 1
    dlogits /= rows
    g = {"output": h.T @ dlogits}
    dx, g["norm.gain"], g["norm.bias"] = norm_backward(dlogits @ p["output"].T, norm)
    for layer in reversed(range(LAYERS)):
        h, norm1, q, k, v, scores, mixed, h2, norm2, middle = kept[layer]
        g[f"{layer}.w2"], g[f"{layer}.b2"] = middle.T @ dx, dx.sum(axis=0)
        dmiddle = (dx @ p[f"{layer}.w2"].T) * (middle > 0)
        g[f"{layer}.w1"], g[f"{layer}.b1"] = h2.T @ dmiddle, dmiddle.sum(axis=0)
        dh, g[f"{layer}.norm2.gain"], g[f"{layer}.norm2.bias"] = norm_backward(dmiddle @ p[f"{layer}.w1"].T, norm2)
        dx = dx + dh
        g[f"{layer}.wo"] = mixed.T @ dx
        dmixed = split(dx @ p[f"{layer}.wo"].T)
        dscores = dmixed @ v.swapaxes(-1, -2)
        dv = scores.swapaxes(-1, -2) @ dmixed
        dscores = scores * (dscores - np.sum(dscores * scores, axis=-1, keepdims=True))
        dscores /= np.float32(np.sqrt(per_head))
        dh = np.zeros_like(h)
        for name, part in (("wq", dscores @ k), ("wk", dscores.swapaxes(-1, -2) @ q), ("wv", dv)):
            part = join(part)
            g[f"{layer}.{name}"] = h.T @ part
            dh += part @ p[f"{layer}.{name}"].T
        dh, g[f"{layer}.norm1.gain"], g[f"{layer}.norm1.bias"] = norm_backward(dh, norm1)
        dx = dx + dh
    dx = dx.reshape(batch, length, -1)
    g["positions"] = np.zeros_like(p["positions"])
    g["positions"][:length] = dx.sum(axis=0)
    g["embedding"] = np.zeros_like(p["embedding"])
    np.add.at(g["embedding"], inputs, dx)
    return loss, g


def train(p: dict[str, np.ndarray], tokens: np.ndarray, wall: float) -> int:
    """Change `p` with Adam until the time is over; return the number of steps."""
    first = {name: np.zeros_like(array) for name, array in p.items()}
    second = {name: np.zeros_like(array) for name, array in p.items()}
    step = 0
    # A busy machine gives less processor time, not a run that is too long.
    while time.process_time() < SHARE * budget and time.monotonic() - wall < 0.85 * budget:
        step += 1
        starts = rng.integers(0, len(tokens) - WINDOW, BATCH)
        _, g = loss_and_gradients(p, tokens[starts[:, None] + np.arange(WINDOW)])
        done = time.process_time() / (SHARE * budget)
        rate = LEARNING_RATE * min(1.0, step / 30) * max(0.02, 1 - done)
        rate *= np.sqrt(1 - 0.95**step) / (1 - 0.9**step)
        for name, gradient in g.items():
            first[name] += 0.1 * (gradient - first[name])
            second[name] += 0.05 * (gradient * gradient - second[name])
            p[name] -= rate * first[name] / (np.sqrt(second[name]) + 1e-8)
    return step


def save(p: dict[str, np.ndarray], path: Path) -> None:
    """Write the arrays as safetensors, with what the scorer has to know about them."""
    about = {"heads": str(HEADS), "activation": "relu", "norm": "layer", "rotary": "no", "gated": "no"}
    header: dict[str, object] = {"__metadata__": about}
    at = 0
    for name, array in p.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in p.values():
            file.write(np.ascontiguousarray(array, dtype="<f4").tobytes())


def main() -> None:
    """Train within the time budget and write the model."""
    wall = time.monotonic()
    data = np.frombuffer(Path("data/train.txt").read_bytes(), dtype=np.uint8).astype(np.int64)
    tokens = np.where(data == 10, 0, data - 31)
    parameters = make_parameters()
    steps = train(parameters, tokens, wall)
    out = Path(os.environ.get("AR_OUT") or "out")
    out.mkdir(parents=True, exist_ok=True)
    save(parameters, out / "model.safetensors")
    print(f"{steps} steps")


if __name__ == "__main__":
    main()
