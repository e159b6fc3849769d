"""One note of the seed network in PyTorch, on one thread: eager, and compiled."""

import torch
from torch import nn

from common import measure, missing

H = 512


class Seed(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Linear(129, 130, bias=False)
        self.lstm = nn.LSTM(132, H, num_layers=3)
        self.pitch = nn.Sequential(nn.Linear(H, 300), nn.ReLU(), nn.Linear(300, 129))
        self.timing = nn.ModuleList([nn.Linear(H, 1), nn.Linear(H, 1)])

    def forward(self, pitch, timing, h, c):
        embedded = nn.functional.embedding(pitch, self.embedding.weight.t())
        out, (h, c) = self.lstm(torch.cat([embedded, timing], -1).unsqueeze(0), (h, c))
        out = out[0]
        return self.pitch(out), self.timing[0](out), self.timing[1](out), h, c


def stepper(net):
    state = [torch.zeros(3, 1, H), torch.zeros(3, 1, H)]
    pitch, timing = torch.tensor([60]), torch.tensor([[0.1, 0.3]])

    def step():
        _, _, _, state[0], state[1] = net(pitch, timing, *state)

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
