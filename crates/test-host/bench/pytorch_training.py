"""Measures the same as `trainer bench --network seed`, in PyTorch: the seed network with nn.LSTM, on the CPU.

    venv/bin/python pytorch_training.py --threads 2 --json

A step is forward (3 x 512, all lanes over a chunk, state carried over), backward, clipping and AdamW; reported is the
median after warm-up. To compare, alternate runs of both on the same machine within the same hour: timings are noisy.
"""

import argparse
import json
import resource
import statistics
import time

import torch
from torch import nn

from seed import Seed, fresh_state


def peak_memory_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1e3 for line in status if line.startswith("VmHWM:"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--chunk", type=int, default=256)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(1)

    net = Seed()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.02)
    state = fresh_state(args.lanes)
    measured = []
    for _ in range(args.warmup + args.steps):
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        pitch = torch.randint(0, 128, (args.chunk + 1, args.lanes))
        timing = torch.rand(args.chunk + 1, args.lanes, 2)
        logits, step, duration, state = net(pitch[:-1], timing[:-1], state)
        loss = (
            nn.functional.cross_entropy(logits.flatten(0, 1), pitch[1:].flatten())
            + nn.functional.mse_loss(step, timing[1:, :, 0])
            + nn.functional.mse_loss(duration, timing[1:, :, 1])
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        state = tuple(part.detach() for part in state)
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        measured.append((time.perf_counter() - start, cpu, after.ru_minflt - before.ru_minflt))
    seconds, cpu, faults = (statistics.median(column) for column in zip(*measured[args.warmup :]))
    figures = {
        "network": "seed",
        "lanes": args.lanes,
        "chunk": args.chunk,
        "threads": torch.get_num_threads(),
        "notes_per_second": args.lanes * args.chunk / seconds,
        "seconds_per_step": seconds,
        "cpu_seconds_per_step": cpu,
        "page_faults_per_step": faults,
        "peak_memory_mb": peak_memory_mb(),
        "steps": args.steps,
        "torch": torch.__version__,
    }
    if args.json:
        print(json.dumps([figures], indent=2))
    else:
        print(
            f"PyTorch {torch.__version__}: {figures['notes_per_second']:.0f} notes/s"
            f" ({seconds:.3f} s a step, {cpu:.3f} CPU-seconds, {faults:.0f} page faults)"
            f"  peak memory {figures['peak_memory_mb']:.0f} MB"
        )


if __name__ == "__main__":
    main()
