"""Golden values of both networks from an independent implementation: NumPy, 64-bit floats.

    python3 model/golden/golden.py > model/golden/golden.json

Nothing is shared with the Rust code: weights, phrase, features, layers and heads are written again here.
For every tensor of each of 64 steps it writes the projection on cos(0.37 i) and the value at one place.
"""
import json
import math
import zlib

import numpy as np

H, STEPS = 512, 64


def weights(name, shape, fan_in):
    """sin of a running phase, as 32-bit floats: the same numbers in every language."""
    n = int(np.prod(shape))
    phase = zlib.crc32(name.encode()) % 1000
    value = np.sin(0.7 * np.arange(n, dtype=np.float64) + phase) * (1.5 / math.sqrt(fan_in))
    return value.astype(np.float32).astype(np.float64).reshape(shape)


def phrase():
    """64 notes: a chord of two every third note, some long notes, some spread."""
    notes, last = [], None
    for i in range(STEPS):
        chord = i % 3 == 2
        step = 0.0 if chord or i == 0 else round(0.07 + 0.05 * (i * 7 % 11), 6)
        pitch = last + 4 if chord else 40 + (i * 17) % 48
        last = pitch
        notes.append(dict(step=step, pitch=pitch, duration=round(0.09 + 0.13 * (i * 5 % 9), 6),
                          velocity=30 + (i * 13) % 90, spread=0.012 if chord else 0.0))
    return notes


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Lstm:
    def __init__(self, inputs):
        self.layers = []
        for l in range(3):
            i = inputs if l == 0 else H
            w = {k: weights(f"lstm.{k}_l{l}", s, H) for k, s in
                 dict(weight_ih=(4 * H, i), weight_hh=(4 * H, H), bias_ih=(4 * H,), bias_hh=(4 * H,)).items()}
            self.layers.append((w, np.zeros(H), np.zeros(H)))

    def step(self, x):
        states = []
        for l, (w, h, c) in enumerate(self.layers):
            i, f, g, o = np.split(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ h + w["bias_hh"], 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            self.layers[l] = (w, h, c)
            states += [h, c]
            x = h
        return x, states


def seed(notes):
    lstm = Lstm(132)
    e = weights("embedding.weight", (130, 129), 129)
    w0, b0 = weights("pitch.0.weight", (300, H), H), weights("pitch.0.bias", (300,), H)
    w2, b2 = weights("pitch.2.weight", (129, 300), 300), weights("pitch.2.bias", (129,), 300)
    timing = [(weights(f"{n}.weight", (1, H), H), weights(f"{n}.bias", (1,), H)) for n in ("step", "duration")]
    for note in [None] + notes[:-1]:
        x = np.concatenate([e[:, 128 if note is None else note["pitch"]],
                            [0, 0] if note is None else [note["step"], note["duration"]]])
        h, states = lstm.step(x)
        pitch = w2 @ np.maximum(w0 @ h + b0, 0) + b2
        yield states + [pitch] + [w @ h + b for w, b in timing]


# -- antiphon ---------------------------------------------------------------------------------------

EDGES = [0.0] + [0.005 + 0.01 * i for i in range(26)] + [0.255 * (20 / 0.255) ** (i / 102) for i in range(1, 103)]
CLASSES = dict(step=128, pitch=128, duration=128, velocity=32, spread=16)


def bin_of(t):
    return max(i for i in range(128) if EDGES[i] <= t)


def one_hot(n, i):
    v = np.zeros(n)
    if i is not None:
        v[min(i, n - 1)] = 1
    return v


def interval(a, b):
    return None if a is None or b is None else max(-24, min(24, b - a)) + 24


class Context:
    def __init__(self):
        self.fast, self.slow, self.pitches, self.recent, self.left = (np.zeros(n) for n in (12, 12, 128, 128, 128))
        self.last = self.before = None
        self.place = 0

    def feed(self, n):
        self.place = self.place + 1 if self.last is not None and n["step"] == 0 else 0
        self.left = np.maximum(self.left - n["step"], 0)
        self.left[n["pitch"]] = max(self.left[n["pitch"]], n["duration"])
        for profile, decay, i in ((self.fast, .94, n["pitch"] % 12), (self.slow, .985, n["pitch"] % 12),
                                  (self.pitches, .97, n["pitch"]), (self.recent, .85, n["pitch"])):
            profile *= decay
            profile[i] += 1 - decay
        self.before, self.last = self.last, n["pitch"]

    def sounding(self, step):
        left = self.left - step
        return np.where(left > 0.01, left, 0)

    def window(self, values):
        near = np.zeros(49)
        if self.last is not None:
            for d in range(-24, 25):
                if 0 <= self.last + d < 128:
                    near[d + 24] = values[self.last + d]
        return near

    def harmony(self, step):
        turned = [np.zeros(12) if self.last is None else np.roll(p, -(self.last % 12)) * 6 for p in (self.fast, self.slow)]
        down = (self.sounding(step) > 0) * 1.0
        return np.concatenate([self.fast * 6, self.slow * 6, *turned, self.pitches * 12,
                               self.window(self.recent) * 4, down, self.window(down)])

    def ends(self, step):
        v = np.zeros(128)
        for left in self.sounding(step):
            if left > 0:
                v[bin_of(left)] += 1
        return v


def heard(n, c):
    if n is None:
        return np.concatenate([one_hot(129, 128), np.zeros(12 + 11 + 49 + 128 + 128 + 32 + 16 + 6), c.harmony(0)])
    numbers = [n["step"], math.log((n["step"] + .01) / .1), n["duration"], math.log((n["duration"] + .01) / .1),
               n["velocity"] / 64 - 1, n["spread"] / .03]
    return np.concatenate([one_hot(129, n["pitch"]), one_hot(12, n["pitch"] % 12), one_hot(11, n["pitch"] // 12),
                           one_hot(49, interval(c.before, n["pitch"])), one_hot(128, bin_of(n["step"])),
                           one_hot(128, bin_of(n["duration"])), one_hot(32, n["velocity"] // 4),
                           one_hot(16, int(n["spread"] / .002 + .5)), numbers, c.harmony(0)])


def told(head, n, c):
    step, pitch = one_hot(128, bin_of(n["step"])), one_hot(128, n["pitch"])
    way = one_hot(49, interval(c.last, n["pitch"]))
    return {"step": lambda: c.ends(0),
            "pitch": lambda: np.concatenate([step, c.harmony(n["step"])]),
            "duration": lambda: np.concatenate([step, pitch, way, c.ends(n["step"])]),
            "velocity": lambda: np.concatenate([step, pitch, way, one_hot(128, bin_of(n["duration"]))]),
            "spread": lambda: np.concatenate([one_hot(8, c.place), way, pitch, one_hot(32, n["velocity"] // 4)]),
            }[head]()


def antiphon(notes):
    lstm, c = Lstm(256), Context()
    e = weights("input.weight", (256, len(heard(None, c))), 24)
    heads = {}
    for name, classes in CLASSES.items():
        out = classes + (49 if name == "pitch" else 0)
        shapes = {"state.weight": ((256, H), H), "features.weight": ((256, len(told(name, notes[0], c))), 24),
                  "hidden.bias": ((256,), 256), "out.weight": ((out, 256), 256), "out.bias": ((out,), 256)}
        heads[name] = {k: weights(f"{name}.{k}", *s) for k, s in shapes.items()}
    for note, following in zip([None] + notes[:-1], notes):
        if note is not None:
            c.feed(note)
        h, states = lstm.step(e @ heard(note, c))
        logits = []
        for name, w in heads.items():
            hidden = w["state.weight"] @ h + w["features.weight"] @ told(name, following, c) + w["hidden.bias"]
            out = w["out.weight"] @ np.maximum(hidden, 0) + w["out.bias"]
            if name == "pitch":
                out, scores = out[:128], out[128:]
                for d in range(-24, 25):
                    if c.last is not None and 0 <= c.last + d < 128:
                        out[c.last + d] += scores[d + 24]
                if c.last is not None and following["step"] == 0:
                    out = out[c.last + 1:]  # inside a chord pitches ascend
            logits.append(out)
        yield states + logits


def short(v):
    return [round(float(v @ np.cos(0.37 * np.arange(len(v)))), 8), round(float(v[len(v) // 2]), 8)]


notes = phrase()
print(json.dumps({name: [[short(v) for v in step] for step in network(notes)]
                  for name, network in (("seed", seed), ("antiphon", antiphon))}))
