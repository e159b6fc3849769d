"""One note of the seed network in PyTorch, on one thread: eager, and compiled."""

import torch

from common import measure, missing
from seed import Seed, fresh_state


def stepper(net):
    state = fresh_state(1)
    pitch, timing = torch.tensor([[60]]), torch.tensor([[[0.1, 0.3]]])

    def step():
        nonlocal state
        *_, state = net(pitch, timing, state)

    return step


def main():
    torch.set_num_threads(1)
    # oneDNN, on by default, makes a single step several times slower: measured both ways.
    torch.manual_seed(1)
    net = Seed().eval()
    with torch.inference_mode():
        measure("pytorch_onednn", stepper(net))
        torch.backends.mkldnn.enabled = False
        measure("pytorch_eager", stepper(net))
    with torch.no_grad():
        try:
            measure("pytorch_compile", stepper(torch.compile(net)))
        except Exception as error:  # no compiler on this machine, or a network it cannot take
            missing("pytorch_compile", error)


main()
