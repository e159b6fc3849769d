"""Golden values of both networks from an independent implementation: NumPy, 64-bit floats.

    python3 crates/model/golden/golden.py > crates/model/golden/golden.json

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


def between(n, place):
    v, place = np.zeros(n), min(max(place, 0), n - 1)
    low = min(int(place), n - 2)
    v[low], v[low + 1] = 1 - (place - low), place - low
    return v


def interval(a, b):
    return None if a is None or b is None else max(-24, min(24, b - a)) + 24


class Echo:
    """What followed an earlier place that agrees with the last notes."""

    def __init__(self, note, pitch, score, length, lag, kept):
        self.pitch, self.step, self.duration = pitch, bin_of(note["step"]), bin_of(note["duration"])
        self.velocity, self.level, self.length = note["velocity"] // 4, score // 16, length
        octave = int(math.log2(lag))
        self.distance = 2 * octave + (lag >= 1.5 * 2 ** octave if octave else 0)
        self.lag, self.rounds = lag, sum(4 * kept // lag >= n for n in (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128))


def agreement(echo):
    return [one_hot(16, echo and echo.level), one_hot(13, echo and echo.length),
            one_hot(25, echo and echo.distance), one_hot(12, echo and echo.rounds)]


WIDTH = math.log(20 / 0.255) / 102  # of a class of ratios: that of a coarse bin


def center(bin):
    return (EDGES[bin] + EDGES[bin + 1]) / 2


def reference(t):
    """A time that others are compared with. In fine bins, times of one bin are equal."""
    return None if t is None else math.log(center(max(bin_of(t), 1)) if bin_of(t) < 26 else t)


def ratio(of, to):
    return None if of is None or to is None else max(-64, min(64, math.floor((of - to) / WIDTH + 0.5))) + 64


def moment(i):
    """What is told at note i: (seconds a beat, position in the bar), (seconds, notes) that are left."""
    if i < 16:
        return None, (None, None)
    return (0.48 + 0.001 * i, 0.371 * i % 3), ((40.3 - 0.5 * i, None) if i < 40 else (None, 64 - i))


def later(moment, step):
    """What is known `step` seconds and one note later."""
    meter, (seconds, notes) = moment
    if meter is not None:
        meter = meter[0], (meter[1] + step / meter[0]) % 3
    return meter, (seconds and max(seconds - step, 0), notes and notes - 1)


def place(position):
    """In the beat (24 places) and in the bar of three beats (sixteenths)."""
    return math.floor(position % 1 * 24 + 0.5) % 24, math.floor(position * 4 + 0.5) % 12


def landing(meter, bin):
    begin, end = meter[1] + EDGES[bin] / meter[0], meter[1] + EDGES[bin + 1] / meter[0]
    if (end - begin) * 24 > 1:
        for parts in 1, 2, 3, 4, 6, 12:
            if math.ceil(begin * parts) / parts < end:
                return place(math.ceil(begin * parts) / parts)
    return place(meter[1] + (center(bin) if bin else 0) / meter[0])


def meter_features(meter):
    phase, sixteenth = place(meter[1]) if meter else (None, None)
    return [one_hot(24, phase), one_hot(32, sixteenth), one_hot(17, 6 if meter else None),
            between(24, math.log(meter[0] / 0.1) * 7) if meter else np.zeros(24)]


def left_features(left):
    seconds, notes = left
    return [np.zeros(12) if seconds is None else between(12, math.log2(1 + seconds / 0.125)),
            np.zeros(12) if notes is None else between(12, math.log2(1 + notes))]


SCORE = one_hot(4, 1)


class Context:
    def __init__(self):
        self.moment, self.intervals, self.held = (None, (None, None)), [None] * 4, None
        self.fast, self.slow, self.pitches, self.recent, self.left = (np.zeros(n) for n in (12, 12, 128, 128, 128))
        self.last = self.before = None
        self.place = self.run = self.alternation = 0
        self.notes, self.home, self.loops = [], np.zeros(12), []
        self.onset, self.onsets, self.gap = 0.0, [], None
        self.same, self.transposed, self.rhythm = {}, {}, {}

    def feed(self, n, moment):
        self.moment, self.held = moment, n["duration"]
        if self.last is not None and n["step"] > 0:
            self.intervals = [n["step"], *self.intervals[:3]]
        if n["step"] > 0:
            gaps = [n["step"] - left for left in self.left if left > 0]
            self.gap = min(gaps, key=abs) if gaps else None
        self.onset += n["step"]
        self.onsets.append(self.onset)
        self.place = self.place + 1 if self.last is not None and n["step"] == 0 else 0
        self.left = np.maximum(self.left - n["step"], 0)
        self.left[n["pitch"]] = max(self.left[n["pitch"]], n["duration"])
        for profile, decay, i in ((self.fast, .94, n["pitch"] % 12), (self.slow, .985, n["pitch"] % 12),
                                  (self.pitches, .97, n["pitch"]), (self.recent, .85, n["pitch"])):
            profile *= decay
            profile[i] += 1 - decay
        self.home = self.home * .9995
        self.home[n["pitch"] % 12] += 1
        self.run = self.run + 1 if n["pitch"] == self.last else 0
        self.alternation = self.alternation + 1 if n["pitch"] == self.before else 0
        near = self.echo_same(lambda e: e.lag <= 64)
        self.loops.append(near is not None and near.pitch == n["pitch"])
        self.notes.append(n)
        equal = lambda a, b: a == b
        near_bins = lambda a, b: abs(a - b) <= (a > 1)
        for scores, values, agree in ((self.same, self.keys(), equal), (self.transposed, self.ways(), equal),
                                      (self.rhythm, self.steps(), near_bins)):
            for lag in range(1, len(values)):
                score, kept = scores.get(lag, (0, 0))
                score = min(255, score - score // 8 + 32 * agree(values[-1], values[-1 - lag]))
                scores[lag] = score, min(kept + 1, 255) if score >= 64 else 0
        self.before, self.last = self.last, n["pitch"]

    def sounding(self, step):
        left = self.left - step
        return np.where(left > 0.01, left, 0)

    def voice(self, step, pitch):
        """(note, onset) that a note of this pitch goes on from: the nearest of the last 12 that was struck before it."""
        last = [(n, t) for n, t in list(zip(self.notes, self.onsets))[:-13:-1] if t < self.onset + step]
        return min(last, key=lambda n: abs(n[0]["pitch"] - pitch), default=(None, None))

    def gap_class(self):
        hundredths = None if self.gap is None else math.floor(self.gap * 100 + .5)
        return one_hot(13, None if hundredths is None or abs(hundredths) > 6 else hundredths + 6)

    def links_to_ends(self, step, first, output):
        ending = self.ends(step) > 0
        near = lambda bin: any(0 <= b < 128 and ending[b] for b in (bin - 1, bin + 1))
        return [(bin, output + (not ending[bin])) for bin in range(first, 128) if ending[bin] or near(bin)]

    def links_to_used(self, times, first, output):
        counts = np.zeros(128)
        for t in times:
            counts *= .985
            counts[bin_of(t)] += 1
        level = lambda bin: sum(counts[bin] >= v for v in (.05, .3, .9, 2.1, 5.1, 12.1)) - 1 if 0 <= bin < 128 else -1
        near = lambda bin: max(level(bin - 1), level(bin + 1))
        return ([(bin, output + level(bin)) for bin in range(first, 128) if level(bin) >= 0]
                + [(bin, output + 6 + near(bin)) for bin in range(first, 128) if near(bin) >= 0])

    def keys(self):
        return [n["pitch"] for n in self.notes]

    def ways(self):
        pitches = self.keys()
        return [None] + [b - a for a, b in zip(pitches, pitches[1:])]

    def steps(self):
        return [bin_of(n["step"]) for n in self.notes]

    def echo(self, scores, values, pitch_of, accept):
        found = None
        # A place that no note was compared with yet agrees with nothing.
        for lag, (score, kept) in sorted(scores.items()):
            note, pitch = self.notes[-lag], pitch_of(-lag)
            if score >= 32 and pitch is not None and (found is None or score > found[0]):
                back = 0
                while back < 12 and back + lag < len(values) and values[-1 - back] == values[-1 - back - lag]:
                    back += 1
                echo = Echo(note, pitch, score, back, lag, kept)
                if accept(echo):
                    found = score, echo
        return found and found[1]

    def echo_same(self, accept=lambda e: True):
        pitches = self.keys()
        return self.echo(self.same, pitches, lambda i: pitches[i], accept)

    def echo_transposed(self, accept):
        pitches, ways = self.keys(), self.ways()
        here = lambda i: None if ways[i] is None or not 0 <= pitches[-1] + ways[i] < 128 else pitches[-1] + ways[i]
        return self.echo(self.transposed, ways, here, accept)

    def echo_rhythm(self, accept=lambda e: True):
        pitches = self.keys()
        return self.echo(self.rhythm, self.steps(), lambda i: pitches[i], accept)

    def echoes_of(self, step, pitch):
        fits = lambda e: e.pitch == pitch and (e.step == 0) == (step == 0)
        first = self.echo_same(fits)
        other = lambda e: fits(e) and (first is None or abs(first.duration - e.duration) > 1)
        transposed = self.echo_transposed(other)
        if first is None:
            return transposed, None
        return first, transposed or self.echo_same(other)

    def mood(self, *told):
        parts = []
        for decay in (.94, .985, .9995):
            if not self.notes:
                parts += [np.zeros(4)] + [np.zeros(n) for _, n in told]
                continue
            w = decay ** np.arange(len(self.notes))[::-1]
            mean = lambda f: float(sum(w * [f(n) for n in self.notes]) / sum(w))
            velocity, step = mean(lambda n: n["velocity"]), mean(lambda n: min(n["step"], 5))
            held, chords = mean(lambda n: math.log(max(n["duration"], .01))), mean(lambda n: n["step"] == 0)
            parts.append(np.array([velocity / 32 - 2, math.log((step + .01) / .12), held + 1, chords * 2 - 1]))
            places = dict(velocity=velocity / 4 - .5, step=math.log(max(step, .01) / .02) * 5, duration=(held + 3.5) * 5)
            parts += [between(n, places[name]) for name, n in told]
        return np.concatenate(parts)

    def home_and_runs(self):
        home = self.home * 3 / self.home.sum() if self.notes else self.home
        turned = np.zeros(12) if self.last is None else np.roll(home, -(self.last % 12))
        if not self.notes:
            return np.concatenate([home, turned, np.zeros(24 + 24 + 40 + 40)] + [between(9, 0)] * 3)
        variety = [one_hot(40, len(set(self.keys()[-n:]))) for n in (24, 96)]
        shares = []
        for decay in (.97, .99, .998):
            w = decay ** np.arange(len(self.loops))[::-1]
            shares.append(between(9, 8 * float(w @ np.array(self.loops, float)) / float(w.sum())))
        return np.concatenate([home, turned, one_hot(24, self.run), one_hot(24, self.alternation), *variety, *shares])

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


def point(n, echo, values, output):
    """(class, output) links to an echo's value and its neighbors."""
    return [(values(echo) + d, output + abs(d)) for d in (0, -1, 1) if echo and 0 <= values(echo) + d < n]


def more(c):
    e = c.echo_same()
    last, before, held = (reference(t) for t in (*c.intervals[:2], c.held))
    return [c.home_and_runs(), c.mood(("velocity", 32), ("step", 24), ("duration", 24)), *agreement(e),
            one_hot(49, e and interval(c.last, e.pitch)), one_hot(128, e and e.step), SCORE,
            one_hot(129, ratio(last, before)), one_hot(129, ratio(held, last)),
            *meter_features(c.moment[0]), *left_features(c.moment[1]), c.gap_class()]


def own_voice(n, c):
    voice, onset = c.voice(0, n["pitch"]) if n else (None, None)
    if voice is None:
        return [np.zeros(49 + 129 + 129)]
    return [one_hot(49, interval(voice["pitch"], n["pitch"])),
            one_hot(129, ratio(reference(n["duration"]), reference(voice["duration"]))),
            one_hot(129, ratio(reference(c.intervals[0]), reference(c.onset - onset)))]


def heard(n, c):
    if n is None:
        return np.concatenate([one_hot(129, 128), np.zeros(12 + 11 + 49 + 128 + 128 + 32 + 16 + 6), c.harmony(0), *more(c), *own_voice(n, c)])
    numbers = [n["step"], math.log((n["step"] + .01) / .1), n["duration"], math.log((n["duration"] + .01) / .1),
               n["velocity"] / 64 - 1, n["spread"] / .03]
    return np.concatenate([one_hot(129, n["pitch"]), one_hot(12, n["pitch"] % 12), one_hot(11, n["pitch"] // 12),
                           one_hot(49, interval(c.before, n["pitch"])), one_hot(128, bin_of(n["step"])),
                           one_hot(128, bin_of(n["duration"])), one_hot(32, n["velocity"] // 4),
                           one_hot(16, int(n["spread"] / .002 + .5)), numbers, c.harmony(0), *more(c), *own_voice(n, c)])


def told(head, n, c):
    """Features of a head, and its links."""
    meter, left = later(c.moment, n["step"])
    step, pitch, bin = one_hot(128, bin_of(n["step"])), one_hot(128, n["pitch"]), bin_of(n["step"])
    way = one_hot(49, interval(c.last, n["pitch"]))
    if head == "step":
        first = c.echo_same()
        second = first and c.echo_same(lambda e: abs(e.step - first.step) > 1)
        parts, links = [c.ends(0), c.mood(("step", 24)), c.home_and_runs()[24:]], []
        for i, e in enumerate((first, second, c.echo_rhythm())):
            parts += agreement(e) + [one_hot(128, e and e.step)]
            links += point(128, e, lambda e: e.step, 128 + 2 * i)
        last, before, third, fourth = c.intervals
        both = last + before if before is not None else None
        references = [reference(t) for t in (last, before, both)]
        meter, left = c.moment
        parts += [SCORE, one_hot(129, ratio(references[0], references[1])), *meter_features(meter), *left_features(left)]
        for bin in range(3, 128):
            links += [(bin, 134 + 129 * i + ratio(math.log(center(bin)), r)) for i, r in enumerate(references) if r is not None]
            if meter:
                phase, sixteenth = landing(meter, bin)
                links += [(bin, 134 + 387 + phase), (bin, 134 + 387 + 24 + sixteenth)]
            if left[0] is not None:
                rest = left[0] - center(bin)
                links.append((bin, 134 + 387 + 56 + (0 if rest < 0 else 1 + min(10, int(math.log2(1 + rest / 0.125))))))
        sounding = [left for left in c.sounding(0) if left > 0]
        more = [reference(t) for t in (third, fourth, c.held, min(sounding, default=None))]
        parts += [one_hot(129, ratio(r, references[0])) for r in more[2:]] + [c.gap_class()]
        links += [(bin, 134 + 387 + 68 + 129 * i + ratio(math.log(center(bin)), r))
                  for i, r in enumerate(more) if r is not None for bin in range(3, 128)]
        links += c.links_to_ends(0, 3, 134 + 387 + 68 + 516)
        links += c.links_to_used([m["step"] for m in c.notes[1:] if m["step"] > 0], 3, 134 + 387 + 68 + 518)
    elif head == "pitch":
        parts = [step, c.harmony(n["step"]), c.home_and_runs()]
        near = lambda p: [] if p is None else [(p + d, d + 24) for d in range(-24, 25) if 0 <= p + d < 128]
        links = [(pitch, 128 + i) for pitch, i in near(c.last)]
        floor = c.last + 1 if c.last is not None and n["step"] == 0 else 0
        fits = lambda e: (e.step == 0) == (bin == 0) and e.pitch >= floor
        first = c.echo_same(fits)
        second = first and c.echo_same(lambda e: fits(e) and e.pitch != first.pitch)
        known = [e.pitch for e in (first, second) if e]
        third = c.echo_transposed(lambda e: fits(e) and e.pitch not in known)
        for i, e in enumerate((first, second, third)):
            parts += agreement(e) + [one_hot(49, e and interval(c.last, e.pitch)), one_hot(2, e and int(abs(e.step - bin) <= 1))]
            links += [(e.pitch, 177 + i)] if e else []
        parts += [SCORE, *meter_features(meter), *left_features(left)]
        for i, lag in enumerate(range(2, 9)):
            p = c.notes[-lag]["pitch"] if lag <= len(c.notes) else None
            parts.append(one_hot(49, interval(p, c.last)))
            links += [(pitch, 180 + 49 * i + output) for pitch, output in near(p)]
        down, keys = c.sounding(n["step"]), c.keys()[::-1]
        for p in range(128):
            if p in keys:
                ago = keys.index(p) + 1
                octave = int(math.log2(ago))
                links.append((p, 523 + 2 * octave + (ago >= 1.5 * 2 ** octave if octave else 0)))
            for i, profile in enumerate((c.fast, c.slow, c.home / max(c.home.sum(), 1))):
                links.append((p, 539 + 8 * i + min(7, int(profile[p % 12] * 23.7))))
            if down[p] > 0:
                links.append((p, 563))
    elif head == "duration":
        parts, links = [step, pitch, way, c.ends(n["step"]), c.mood(("duration", 24))], []
        third = c.echo_rhythm(lambda e: (e.step == 0) == (n["step"] == 0))
        for i, e in enumerate((*c.echoes_of(n["step"], n["pitch"]), third)):
            parts += agreement(e) + [one_hot(128, e and e.duration)]
            links += point(128, e, lambda e: e.duration, 128 + 2 * i)
        references = [reference(n["step"] if n["step"] > 0 else c.intervals[0]), reference(c.held)]
        parts += [SCORE, one_hot(129, ratio(references[1], references[0])), *meter_features(meter), *left_features(left)]
        for bin in range(128):
            links += [(bin, 134 + 129 * i + ratio(math.log(center(max(bin, 1))), r))
                      for i, r in enumerate(references) if r is not None]
            links += [(bin, 134 + 258 + landing(meter, bin)[0])] if meter else []
        voice, onset = c.voice(n["step"], n["pitch"])
        parts.append(one_hot(49, voice and interval(voice["pitch"], n["pitch"])))
        for i, t in enumerate((voice["duration"], c.onset + n["step"] - onset) if voice else (None, None)):
            parts.append(one_hot(129, ratio(reference(t), references[0])))
            links += [(bin, 134 + 258 + 24 + 129 * i + ratio(math.log(center(max(bin, 1))), reference(t)))
                      for bin in range(128) if t is not None]
        links += c.links_to_ends(n["step"], 0, 134 + 258 + 24 + 258)
        links += c.links_to_used([m["duration"] for m in c.notes], 0, 134 + 258 + 24 + 260)
    elif head == "velocity":
        e, _ = c.echoes_of(n["step"], n["pitch"])
        parts = [step, pitch, way, one_hot(128, bin_of(n["duration"])), c.mood(("velocity", 32)), *agreement(e),
                 one_hot(32, e and e.velocity), SCORE, *meter_features(meter)]
        links = point(32, e, lambda e: e.velocity, 32)
        voice, _ = c.voice(n["step"], n["pitch"])
        parts.append(one_hot(49, voice and interval(voice["pitch"], n["pitch"])))
        mean = None
        if c.notes:
            w = .94 ** np.arange(len(c.notes))[::-1]
            mean = float(w @ np.array([m["velocity"] for m in c.notes], float) / w.sum())
        for i, v in enumerate((c.notes and c.notes[-1]["velocity"] or None, voice and voice["velocity"], mean)):
            level = None if v is None else int(v) // 4
            parts.append(one_hot(32, level))
            links += [(l, 34 + 63 * i + l + 31 - level) for l in range(32) if level is not None]
    else:
        in_chord = n["step"] == 0
        place_in_chord, interval_in_chord = (c.place, interval(c.last, n["pitch"])) if in_chord else (None, None)
        parts = [one_hot(8, place_in_chord), one_hot(49, interval_in_chord), pitch, one_hot(32, n["velocity"] // 4), SCORE]
        last = c.notes[-1] if in_chord and c.notes else None
        parts += [one_hot(63, last and n["velocity"] // 4 + 31 - last["velocity"] // 4),
                  one_hot(16, last and int(last["spread"] / .002 + .5))]
        links = []
    return np.concatenate(parts), links


MORE = dict(step=6 + 7 * 129 + 24 + 32 + 12 + 14, pitch=8 * 49 + 3 + 41, duration=6 + 4 * 129 + 24 + 14, velocity=2 + 3 * 63, spread=0)


def antiphon(notes):
    lstm, c = Lstm(256), Context()
    e = weights("input.weight", (256, len(heard(None, c))), 24)
    heads = {}
    for name, classes in CLASSES.items():
        out = classes + MORE[name]
        shapes = {"state.weight": ((256, H), H), "features.weight": ((256, len(told(name, notes[0], c)[0])), 24),
                  "hidden.bias": ((256,), 256), "out.weight": ((out, 256), 256), "out.bias": ((out,), 256)}
        heads[name] = {k: weights(f"{name}.{k}", *s) for k, s in shapes.items()}
    for i, (note, following) in enumerate(zip([None] + notes[:-1], notes)):
        if note is not None:
            c.feed(note, moment(i - 1))
        h, states = lstm.step(e @ heard(note, c))
        logits = []
        for name, w in heads.items():
            features, links = told(name, following, c)
            hidden = w["state.weight"] @ h + w["features.weight"] @ features + w["hidden.bias"]
            scores = w["out.weight"] @ np.maximum(hidden, 0) + w["out.bias"]
            out = scores[:CLASSES[name]]
            for i, output in links:
                out[i] += scores[output]
            if name == "pitch":
                if c.last is not None and following["step"] == 0:
                    out = out[c.last + 1:]  # inside a chord pitches ascend
            logits.append(out)
        yield states + logits


def short(v):
    return [round(float(v @ np.cos(0.37 * np.arange(len(v)))), 8), round(float(v[len(v) // 2]), 8)]


notes = phrase()
print(json.dumps({name: [[short(v) for v in step] for step in network(notes)]
                  for name, network in (("seed", seed), ("antiphon", antiphon))}))
