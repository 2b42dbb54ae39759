#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports small PyTorch modules to tests/nn/data/<case>.onnx, with inputs and answers (in double precision) in cases.txt.

Needs torch and onnx. cases.txt: for each case "name rows inputs outputs", then the rows of inputs and of answers.
"""
import copy
import math
import os
import sys
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F

warnings.filterwarnings("ignore")
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
CASES = []


def case(name, module, inputs, opset=13, dynamic=True):
    CASES.append((name, module, inputs, opset, dynamic))


class Fn(nn.Module):
    def __init__(self, f, **parts):
        super().__init__()
        self.f = f
        for k, v in parts.items():
            setattr(self, k, v)

    def forward(self, *x):
        return self.f(self, *x)


def settle(module):
    """Batch norms with statistics that are not 0 and 1."""
    for m in module.modules():
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(m.running_mean, -1, 1)
            nn.init.uniform_(m.running_var, 0.5, 2)
            nn.init.uniform_(m.weight, 0.5, 1.5)
            nn.init.uniform_(m.bias, -1, 1)
    return module.eval()


def build():
    torch.manual_seed(1)
    x = torch.randn(3, 3, 9, 7)
    case("convolutions", nn.Sequential(
        nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 2)), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2, bias=False), nn.BatchNorm2d(6), nn.LeakyReLU(0.2),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), nn.Conv2d(6, 6, 1, groups=6), nn.Flatten(),
        nn.LazyLinear(4), nn.BatchNorm1d(4)), (x,))
    case("pools", Fn(lambda s, x: torch.cat([
        F.avg_pool2d(x, 2).flatten(1), F.avg_pool2d(x, 3, 2, 1).flatten(1),
        F.avg_pool2d(x, (3, 2), (2, 3), 1, ceil_mode=True).flatten(1),
        F.max_pool2d(x, 3, 2, 1).flatten(1), F.adaptive_avg_pool2d(x, 1).flatten(1), x.mean((2, 3))], 1)), (x,))
    case("shortcut", Fn(lambda s, x: s.fc(F.adaptive_avg_pool2d(
        s.act(s.b2(s.c2(s.act(s.b1(s.c1(x))))) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2))), 1).view(x.size(0), -1)),
        c1=nn.Conv2d(3, 6, 3, 2, 1, bias=False), b1=nn.BatchNorm2d(6), c2=nn.Conv2d(6, 6, 3, 1, 1, bias=False),
        b2=nn.BatchNorm2d(6), act=nn.SiLU(), fc=nn.Linear(6, 3)), (torch.randn(2, 3, 8, 8),))
    case("series", Fn(lambda s, x: s.c2(F.gelu(s.c1(F.pad(x, (2, 0))))).mean(2), c1=nn.Conv1d(2, 4, 3),
                      c2=nn.Conv1d(4, 2, 4, 3, 1)), (torch.randn(3, 2, 11),))
    flat = torch.randn(4, 6) * 2
    acts = [nn.ReLU(), nn.LeakyReLU(), nn.PReLU(), nn.ReLU6(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.Softsign(),
            nn.ELU(0.7), nn.SELU(), nn.CELU(1.3), nn.Hardsigmoid(), nn.Hardswish(), nn.SiLU(), nn.GELU(), nn.Mish()]
    for opset in (13, 14):
        case(f"activations{opset}", Fn(lambda s, x: torch.cat([a(s.fc(x)) for a in s.a], 1), a=nn.ModuleList(acts),
                                       fc=nn.Linear(6, 3)), (flat,), opset)
    tanh_gelu = lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))))
    case("composites", Fn(lambda s, x: torch.cat([
        tanh_gelu(s.fc(x)), s.fc(x) * torch.sigmoid(1.702 * s.fc(x)), s.fc(x) * F.relu6(s.fc(x) + 3) / 6,
        F.relu6(s.fc(x) + 3) / 6, torch.clamp(s.fc(x), min=-0.5), torch.maximum(s.fc(x), torch.zeros(1))], 1),
        fc=nn.Linear(6, 3)), (flat,))
    codes = torch.tensor([[0, 2, 1], [4, 4, 4], [3, 0, 1], [1, 2, 3]])
    case("bag_sum", nn.EmbeddingBag(5, 3, mode="sum"), (codes,))
    case("bag_mean_fixed", nn.EmbeddingBag(5, 3, mode="mean"), (codes,), 13, False)
    case("bag_one", nn.EmbeddingBag(5, 3, mode="mean"), (codes[:1],), 13, False)
    case("codes", Fn(lambda s, c, x: s.fc(torch.cat([
        s.e(c).flatten(1), F.one_hot(c, 5).float().flatten(1), (c == 4).float(), torch.log(x.clamp(min=0) + 1),
        torch.sqrt(x.abs()), torch.exp(-x), torch.where(c == 2, 0.5, -1.5)], 1)), e=nn.Embedding(5, 2),
        fc=nn.Linear(6 + 15 + 3 + 4 + 4 + 4 + 3, 5)), (codes, torch.randn(4, 4)))
    case("shapes", Fn(lambda s, x: torch.cat([
        x.view(x.size(0), 2, 3).transpose(1, 2).reshape(x.shape[0], -1), x.chunk(3, 1)[1], x.split([1, 5], 1)[1][:, ::2],
        x.unsqueeze(1).expand(-1, 2, -1).sum(1), x.view(-1, 3, 2).permute(0, 2, 1).flatten(1).flip(1),
        x.roll(2, 1), (s.w(x.view(-1, 3, 2)) @ x.view(-1, 2, 3)).flatten(1)], 1), w=nn.Linear(2, 2)), (flat,))


def numbers(tensors):
    return torch.cat([t.reshape(t.shape[0], -1).double() for t in tensors], 1)


def export(out, name, module, inputs, opset, dynamic):
    with torch.no_grad():
        module(*inputs)  # lazy layers
        module = settle(module)
        want = copy.deepcopy(module).double()(*[t.double() if t.is_floating_point() else t for t in inputs])
    names = [f"x{i}" for i in range(len(inputs))]
    axes = {n: {0: "batch"} for n in names} if dynamic else None
    torch.onnx.export(module, tuple(inputs), os.path.join(FOLDER, name + ".onnx"), input_names=names,
                      output_names=["y"], opset_version=opset, dynamic_axes=axes)
    rows, answers = numbers(inputs), numbers([want])
    out.write(f"{name} {rows.shape[0]} {rows.shape[1]} {answers.shape[1]}\n")
    for table in (rows, answers):
        for row in table.tolist():
            out.write(" ".join(f"{v:.9g}" for v in row) + "\n")


def main():
    os.makedirs(FOLDER, exist_ok=True)
    build()
    only = sys.argv[1:]
    with open(os.path.join(FOLDER, "cases.txt"), "w") as out:
        for c in CASES:
            if not only or c[0] in only:
                export(out, *c)


if __name__ == "__main__":
    main()
