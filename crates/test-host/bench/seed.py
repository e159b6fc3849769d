"""The seed network in PyTorch: the network of the student project."""

import torch
from torch import nn

H = 512


class Seed(nn.Module):
    """pitch [time, lanes], timing [time, lanes, 2], state (h, c), each [3, lanes, H] -> pitch logits [time, lanes, 129],
    step and duration [time, lanes], state."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Linear(129, 130, bias=False)
        self.lstm = nn.LSTM(132, H, num_layers=3)
        self.pitch = nn.Sequential(nn.Linear(H, 300), nn.ReLU(), nn.Linear(300, 129))
        self.step = nn.Linear(H, 1)
        self.duration = nn.Linear(H, 1)

    def forward(self, pitch, timing, state):
        # One-hot vector times embedding, as a lookup; ours does the same.
        embedded = nn.functional.embedding(pitch, self.embedding.weight.t())
        h, state = self.lstm(torch.cat([embedded, timing], -1), state)
        return self.pitch(h), self.step(h).squeeze(-1), self.duration(h).squeeze(-1), state


def fresh_state(lanes):
    return tuple(torch.zeros(3, lanes, H) for _ in range(2))
