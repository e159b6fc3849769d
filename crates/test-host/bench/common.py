"""Timing shared by the peers: CPU times of single steps, as JSON on the standard output."""

import json
import sys
import time

STEPS = 400
WARMUP = 50


def measure(name, step):
    """Times `step()`; one object {"name", "us": [...]} per line."""
    for _ in range(WARMUP):
        step()
    times = []
    for _ in range(STEPS):
        start = time.process_time_ns()
        step()
        times.append((time.process_time_ns() - start) / 1e3)
    print(json.dumps({"name": name, "us": times}), flush=True)


def missing(name, error):
    print(f"{name}: not measured ({error})", file=sys.stderr)
