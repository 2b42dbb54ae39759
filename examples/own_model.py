#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A network of your own, from PyTorch to the files that `velum compile` takes; docs/guide/your-own-model.md goes on
from there. Trains on invented pumps: will this one fail within a week?

    own_model.py [--activation silu|relu|square] [--out FOLDER]

Writes pump.onnx, calibration.csv (512 rows), requests.csv (8 rows) and expected.csv (PyTorch's answers to those)."""
import argparse
import os

import torch
from torch import nn

INPUTS = ["temperature", "vibration", "hours", "age", "kind"]  # kind: 0, 1 or 2


def invent(rows, seed):
    """Pumps and whether they failed. Raw values, as a sensor gives them."""
    g = torch.Generator().manual_seed(seed)
    temperature = 60 + 15 * torch.randn(rows, generator=g)
    vibration = torch.exp(0.5 * torch.randn(rows, generator=g))
    hours = 8000 * torch.rand(rows, generator=g)
    age = 20 * torch.rand(rows, generator=g)
    kind = torch.randint(0, 3, (rows,), generator=g)
    strain = (temperature - 60) / 15 + 2 * torch.log(vibration) + hours / 4000 + (kind == 2) * age / 10 - 2
    failed = torch.rand(rows, generator=g) < torch.sigmoid(2 * strain)
    return torch.stack([temperature, vibration, hours, age, kind.float()], 1).round(decimals=2), failed.float()


class Square(nn.Module):
    def forward(self, x):
        return x * x


class Pump(nn.Module):
    """Takes raw values, one input a column: the client normalises, looks up the kind, and knows the inputs by name."""

    def __init__(self, activation, rows):
        super().__init__()
        self.register_buffer("mean", rows[:, :4].mean(0))
        self.register_buffer("std", rows[:, :4].std(0))
        self.kind = nn.Embedding(3, 4)
        act = {"silu": nn.SiLU, "relu": nn.ReLU, "square": Square}[activation]
        self.layers = nn.Sequential(nn.Linear(8, 32), act(), nn.Linear(32, 16), act(), nn.Linear(16, 1), nn.Sigmoid())

    def forward(self, temperature, vibration, hours, age, kind):
        numbers = (torch.cat([temperature, vibration, hours, age], 1) - self.mean) / self.std
        return self.layers(torch.cat([torch.clamp(numbers, -3, 3), self.kind(kind).flatten(1)], 1))


def columns(rows):
    """One tensor [rows, 1] an input; the kind as integers."""
    return [rows[:, i:i + 1] if name != "kind" else rows[:, i:i + 1].long() for i, name in enumerate(INPUTS)]


def train(activation):
    torch.manual_seed(1)
    rows, failed = invent(4000, seed=1)
    model = Pump(activation, rows)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(20):
        for at in torch.randperm(len(rows)).split(100):
            loss = nn.functional.binary_cross_entropy(model(*columns(rows[at])).flatten(), failed[at])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()


def export(model, path):
    example = columns(invent(2, seed=9)[0])
    torch.onnx.export(model, tuple(example), path, opset_version=13, input_names=INPUTS, output_names=["failure"],
                      dynamic_axes={name: {0: "batch"} for name in INPUTS + ["failure"]})


def write_csv(path, names, rows):
    with open(path, "w", encoding="ascii") as f:
        f.write(",".join(names) + "\n")
        f.writelines(",".join(f"{value:.7g}" for value in row) + "\n" for row in rows.tolist())


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--activation", choices=["silu", "relu", "square"], default="silu")
    options.add_argument("--out", default=".", metavar="FOLDER")
    args = options.parse_args()
    model = train(args.activation)
    with torch.no_grad():
        rows, failed = invent(1000, seed=2)
        right = ((model(*columns(rows)).flatten() > 0.5) == (failed > 0.5)).float().mean()
        print(f"{args.activation}: {100 * right:.1f} % of 1,000 new pumps are classified rightly")
        requests = invent(8, seed=3)[0]
        write_csv(os.path.join(args.out, "expected.csv"), ["failure"], model(*columns(requests)))
    write_csv(os.path.join(args.out, "requests.csv"), INPUTS, requests)
    write_csv(os.path.join(args.out, "calibration.csv"), INPUTS, invent(512, seed=4)[0])
    export(model, os.path.join(args.out, "pump.onnx"))


main()
