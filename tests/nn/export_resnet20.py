#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports a ResNet-20 for 3x32x32 pictures with random weights: export_resnet20.py FOLDER [square|relu].

He initialisation; the statistics of the batch norms come from pictures like those of CIFAR-10 (smooth, normalised), so
that activations stay in range. Writes resnet20_<kind>.onnx, calibration.npy (rows of 3,072 numbers) and picture.npy.
Needs torch, onnx and numpy.
"""
import os
import sys
import warnings

import numpy as np
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F

warnings.filterwarnings("ignore")
ROWS = 64


class Square(nn.Module):
    """Degree 2, flatter than the Hermite expansion of ReLU: a network that was not trained for it would grow."""

    def forward(self, x):
        return 0.03 * x * x + 0.5 * x + 0.2


class Block(nn.Module):
    def __init__(self, cin, cout, stride, act):
        super().__init__()
        self.c1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.b1 = nn.BatchNorm2d(cout)
        self.c2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.b2 = nn.BatchNorm2d(cout)
        self.b3 = nn.BatchNorm2d(cout)
        self.act1, self.act2 = act(), act()
        self.skip = nn.Identity()
        if stride != 1 or cin != cout:
            self.skip = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        return self.act2(self.b3(self.b2(self.c2(self.act1(self.b1(self.c1(x))))) + self.skip(x)))


def resnet20(act):
    layers, cin = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), act()], 16
    for stage, cout in enumerate((16, 32, 64)):
        for i in range(3):
            layers.append(Block(cin, cout, 2 if stage > 0 and i == 0 else 1, act))
            cin = cout
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def pictures(rows):
    """Smooth noise at several sizes, by channel of mean 0 and deviation 1."""
    x = sum(F.interpolate(torch.randn(rows, 3, s, s), 32, mode="bilinear") for s in (2, 4, 8, 16)) + 0.2 * torch.randn(
        rows, 3, 32, 32)
    return ((x - x.mean()) / x.std()).clamp(-2.5, 2.5)


def main():
    folder, kinds = sys.argv[1], sys.argv[2:] or ["square", "relu"]
    for kind in kinds:
        torch.manual_seed(20)
        model = resnet20(Square if kind == "square" else nn.ReLU)
        for m in model.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            if isinstance(m, nn.BatchNorm2d):
                m.momentum = 0.3
        with torch.no_grad():
            model.train()
            for _ in range(20):
                model(pictures(64))
        model.eval()
        path = os.path.join(folder, f"resnet20_{kind}.onnx")
        torch.onnx.export(model, pictures(1), path, input_names=["picture"], output_names=["class"], opset_version=14,
                          dynamic_axes={"picture": {0: "batch"}})
        made = onnx.load(path)
        m = made.metadata_props.add()
        m.key, m.value = "velum.range:picture", "-2.5 2.5"
        onnx.save(made, path)
        with torch.no_grad():
            print(kind, "answers:", model(pictures(4)))
    np.save(os.path.join(folder, "calibration.npy"), pictures(ROWS).reshape(ROWS, -1).double().numpy())
    np.save(os.path.join(folder, "picture.npy"), pictures(1).reshape(1, -1).double().numpy())


if __name__ == "__main__":
    main()
