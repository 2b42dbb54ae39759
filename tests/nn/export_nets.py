#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Exports small networks of many shapes to tests/nn/nets/<name>.onnx: what the tests run encrypted. Needs torch, onnx."""
import os
import sys
import warnings

import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F

warnings.filterwarnings("ignore")
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nets")
NETS = {}


class Fn(nn.Module):
    def __init__(self, f, **parts):
        super().__init__()
        self.f = f
        for k, v in parts.items():
            setattr(self, k, v)

    def forward(self, *x):
        return self.f(self, *x)


class Square(nn.Module):
    def forward(self, x):
        return x * x


class Smooth(nn.Module):
    def forward(self, x):
        return 0.25 * x * x + 0.5 * x


class Quadratic(nn.Module):
    """A trained polynomial: a x^2 + b x + c by channel."""

    def __init__(self, channels):
        super().__init__()
        self.a = nn.Parameter(torch.rand(channels, 1, 1) * 0.5 + 0.1)
        self.b = nn.Parameter(torch.rand(channels, 1, 1) + 0.2)
        self.c = nn.Parameter(torch.randn(channels, 1, 1) * 0.2)

    def forward(self, x):
        return self.a * x * x + self.b * x + self.c


class Block(nn.Module):
    """A residual block."""

    def __init__(self, cin, cout, stride, act):
        super().__init__()
        self.c1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.b1 = nn.BatchNorm2d(cout)
        self.c2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.b2 = nn.BatchNorm2d(cout)
        self.act1, self.act2 = act(), act()
        self.skip = nn.Identity()
        if stride != 1 or cin != cout:
            self.skip = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        return self.act2(self.b2(self.c2(self.act1(self.b1(self.c1(x))))) + self.skip(x))


def net(name, module, *inputs):
    """Inputs: a tuple is the shape of numbers in [-1, 1]; (n, k) with k negative: n codes below -k."""
    NETS[name] = (module, inputs)


def mlp(act, *widths):
    layers = []
    for i in range(len(widths) - 1):
        layers.append(nn.Linear(widths[i], widths[i + 1]))
        if i + 2 < len(widths):
            layers.append(act())
    return nn.Sequential(*layers)


def lenet(act, pool):
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), act(), pool(2), nn.Conv2d(3, 4, 3), act(), pool(2),
                         nn.Flatten(), nn.LazyLinear(6), act(), nn.Linear(6, 4))


def vgg(act):
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), act(), nn.Conv2d(3, 3, 3, padding=1),
                         nn.BatchNorm2d(3), act(), nn.AvgPool2d(2), nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4),
                         act(), nn.AvgPool2d(2), nn.Flatten(), nn.LazyLinear(3))


def resnet(act):
    return nn.Sequential(nn.Conv2d(2, 3, 3, 1, 1, bias=False), nn.BatchNorm2d(3), act(), Block(3, 3, 1, act),
                         Block(3, 6, 2, act), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))


def dot(s, x, c):
    """DLRM with a dot interaction."""
    parts = torch.stack([s.act(s.bottom(x)), s.e0(c[:, 0]), s.e1(c[:, 1])], 1)
    z = torch.bmm(parts, parts.transpose(1, 2)).flatten(1)
    pairs = z.index_select(1, torch.tensor([3, 6, 7]))
    return s.top2(s.act(s.top1(torch.cat([parts[:, 0], pairs], 1))))


def joins(s, x):
    a, b = torch.split(s.c1(x), [2, 2], 1)
    c = torch.cat([a * a, F.pad(b[:, :, 1:-1, ::1], (0, 0, 1, 1))], 1)
    return s.fc(torch.cat([c[:, :, ::2, 1:].flatten(1), x.flatten(1)[:, 3:20]], 1))


def build():
    torch.manual_seed(3)
    net("mlp_square", mlp(Square, 8, 12, 6, 3), (8,))
    net("lenet_square", lenet(Square, nn.AvgPool2d), (1, 10, 10))
    net("vgg_square", vgg(Square), (2, 8, 8))
    net("resnet_square", resnet(Square), (2, 8, 8))
    net("quadratic", nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), Quadratic(4), nn.Conv2d(4, 2, 3, 2), Quadratic(2),
                                   nn.Flatten(), nn.LazyLinear(3)), (2, 8, 8))
    net("separable", nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, groups=2), nn.Conv2d(2, 6, 1), nn.BatchNorm2d(6),
                                   Square(), nn.Conv2d(6, 6, 3, 2, 1, groups=6), nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4),
                                   Square(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), (2, 8, 8))
    net("dilated", nn.Sequential(nn.Conv2d(1, 3, 3, padding=2, dilation=2), Square(),
                                 nn.Conv2d(3, 2, 3, dilation=(3, 1)), nn.Flatten(), nn.LazyLinear(3)), (1, 9, 8))
    net("strides", nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), Square(), nn.Conv2d(4, 8, 3, 2, 1), Square(),
                                 nn.Conv2d(8, 4, 2, 2), nn.Flatten(), nn.LazyLinear(3)), (1, 12, 12))
    net("asymmetric", nn.Sequential(nn.Conv2d(1, 3, (3, 1), padding=(1, 0)), nn.Conv2d(3, 3, (1, 5), (1, 2)), Square(),
                                    nn.ZeroPad2d((1, 0, 2, 0)), nn.Conv2d(3, 2, (2, 3), (3, 1)), nn.Flatten(),
                                    nn.LazyLinear(2)), (1, 7, 11))
    net("series", nn.Sequential(nn.Conv1d(2, 4, 5, padding=2), Square(), nn.AvgPool1d(2), nn.Conv1d(4, 4, 3, 2),
                                nn.BatchNorm1d(4), Square(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2)),
        (2, 24))
    net("pools", Fn(lambda s, x: s.fc(torch.cat([F.avg_pool2d(s.c(x) ** 2, 3, 2, 1).flatten(1),
                                                 F.adaptive_avg_pool2d(x, 1).flatten(1),
                                                 F.avg_pool2d(x, (2, 3), (2, 1)).flatten(1)], 1)),
                    c=nn.Conv2d(2, 3, 3), fc=nn.LazyLinear(3)), (2, 7, 6))
    net("joins", Fn(joins, c1=nn.Conv2d(2, 4, 3, padding=1), fc=nn.LazyLinear(4)), (2, 6, 6))
    net("norms", nn.Sequential(nn.BatchNorm1d(10), nn.Linear(10, 8), nn.BatchNorm1d(8), Square(), nn.Linear(8, 8),
                               nn.BatchNorm1d(8), Square(), nn.Linear(8, 2), nn.BatchNorm1d(2)), (10,))
    net("sums", Fn(lambda s, x: s.fc(torch.cat([(s.l(x) ** 2).mean(2), (s.l(x) ** 2).sum(1), x.sum(2, keepdim=True)[:, :, 0]], 1)),
                   l=nn.Linear(6, 5), fc=nn.LazyLinear(3)), (4, 6))
    net("products", Fn(lambda s, x: s.o(s.a(x) * s.b(x) + 0.5 * s.a(x) * s.c(s.b(x) ** 2)), a=nn.Linear(6, 5),
                       b=nn.Linear(6, 5), c=nn.Linear(5, 5), o=nn.Linear(5, 2)), (6,))
    net("inputs", Fn(lambda s, p, x, y: s.o((s.fc(torch.cat([s.c(p).flatten(1), x], 1)) * y) ** 2), c=nn.Conv2d(1, 2, 3),
                     fc=nn.LazyLinear(4), o=nn.Linear(4, 2)), (1, 5, 5), (3,), (4,))
    net("dlrm_concat", Fn(lambda s, x, c: s.top(torch.cat([s.bottom(x) ** 2, s.e0(c[:, 0]), s.e1(c[:, 1])], 1)),
                          bottom=mlp(Square, 5, 8, 4), e0=nn.Embedding(7, 4), e1=nn.Embedding(20, 4),
                          top=mlp(Square, 12, 8, 1)), (5,), (2, -7))
    net("dlrm_dot", Fn(dot, bottom=nn.Linear(5, 4), e0=nn.Embedding(7, 4), e1=nn.Embedding(9, 4), act=Square(),
                       top1=nn.Linear(7, 6), top2=nn.Linear(6, 1)), (5,), (2, -7))
    net("bag", Fn(lambda s, x, c: s.o(torch.cat([s.e(c), s.l(x)], 1) ** 2), e=nn.EmbeddingBag(6, 4, mode="sum"),
                  l=nn.Linear(3, 2), o=nn.Linear(6, 2)), (3,), (3, -6))
    net("attention", Fn(lambda s, x: s.o(((s.q(x) @ s.k(x).transpose(1, 2)) @ s.v(x)).flatten(1)), q=nn.Linear(4, 3),
                        k=nn.Linear(4, 3), v=nn.Linear(4, 3), o=nn.Linear(12, 3)), (4, 4))
    # with polynomials
    for name, act in (("sigmoid", nn.Sigmoid), ("tanh", nn.Tanh), ("gelu", nn.GELU), ("silu", nn.SiLU),
                      ("softplus", nn.Softplus), ("mish", nn.Mish), ("elu", nn.ELU)):
        net("mlp_" + name, mlp(act, 8, 10, 6, 3), (8,))
    net("conv_silu", nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.SiLU(), nn.Conv2d(3, 4, 3, 2),
                                   nn.Sigmoid(), nn.Flatten(), nn.LazyLinear(3)), (2, 8, 8))
    # with comparisons
    net("mlp_relu", mlp(nn.ReLU, 8, 12, 6, 3), (8,))
    net("lenet_relu", lenet(nn.ReLU, nn.AvgPool2d), (1, 10, 10))
    net("lenet_max", lenet(nn.ReLU, nn.MaxPool2d), (1, 10, 10))
    net("vgg_relu", vgg(nn.ReLU), (2, 8, 8))
    net("resnet_relu", resnet(nn.ReLU), (2, 8, 8))
    net("leaky", nn.Sequential(nn.Linear(6, 8), nn.LeakyReLU(0.1), nn.Linear(8, 4), nn.PReLU(), nn.Linear(4, 2)), (6,))
    net("maximum", Fn(lambda s, x: s.o(torch.maximum(s.a(x), s.b(x)) + (s.a(x) - 0.2).abs()), a=nn.Linear(6, 5),
                      b=nn.Linear(6, 5), o=nn.Linear(5, 2)), (6,))
    net("clips", nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU6(), nn.Conv2d(3, 2, 3), nn.Hardswish(), nn.Flatten(),
                               nn.LazyLinear(3)), (1, 8, 8))
    net("dlrm_relu", Fn(dot, bottom=nn.Linear(5, 4), e0=nn.Embedding(7, 4), e1=nn.Embedding(9, 4), act=nn.ReLU(),
                        top1=nn.Linear(7, 6), top2=nn.Linear(6, 1)), (5,), (2, -7))
    net("deep_square", nn.Sequential(*[m for i in range(8) for m in (nn.Linear(8 if i == 0 else 6, 6), Smooth())],
                                     nn.Linear(6, 2)), (8,))


def sample(shape, rows):
    if shape[-1] < 0:
        return torch.randint(0, -shape[-1], (rows,) + shape[:-1])
    return torch.rand((rows,) + shape) * 2 - 1


def export(name, module, shapes):
    with torch.no_grad():
        module.train()
        for _ in range(40):  # statistics of the batch norms
            module(*[sample(s, 64) for s in shapes])
        module.eval()
    names = [f"x{i}" for i in range(len(shapes))]
    path = os.path.join(FOLDER, name + ".onnx")
    torch.onnx.export(module, tuple(sample(s, 2) for s in shapes), path, input_names=names, output_names=["y"],
                      opset_version=14, dynamic_axes={n: {0: "batch"} for n in names})
    model = onnx.load(path)
    for n, s in zip(names, shapes):
        m = model.metadata_props.add()
        m.key, m.value = ("velum.values:" + n, " ".join(map(str, range(-s[-1])))) if s[-1] < 0 else (
            "velum.range:" + n, "-1 1")
    onnx.save(model, path)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    build()
    for name, (module, shapes) in NETS.items():
        if len(sys.argv) == 1 or name in sys.argv[1:]:
            export(name, module, shapes)


if __name__ == "__main__":
    main()
