#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a ResNet as ONNX for Velum.

  export.py WEIGHTS.pt OUT.onnx                    a network that train.py made
  export.py --random SEED --shape SHAPE OUT.onnx   random weights, for tests and timings

Batch normalisations are folded into the convolutions before them, in float64. An activation is (a x + b) x + c with
constants by channel. The input `image` is raw pixels [n, 3, 32, 32]; its normalisation is part of the graph. Stops if
the graph, evaluated with NumPy, answers the drawn pictures differently from PyTorch.
"""
import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from graph import evaluate
from model import SHAPES, Poly, ResNet
from pictures.draw import scenes
from train import restore

MOST = 1e-5  # difference of logits, relative to the largest


class Writer:
    """Nodes and initialisers; each method appends one layer behind x and returns the name of its output."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def constant(self, name, value):
        self.weights.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def node(self, kind, name, inputs, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def conv(self, name, x, layer, norm):
        """A convolution with the batch normalisation behind it."""
        v = {k: t.detach().double().numpy() for k, t in norm.state_dict().items()}
        scale = v["weight"] / np.sqrt(v["running_var"] + norm.eps)
        weight = layer.weight.detach().double().numpy() * scale[:, None, None, None]
        inputs = [x, self.constant(name + ".weight", weight),
                  self.constant(name + ".bias", v["bias"] - v["running_mean"] * scale)]
        return self.node("Conv", name, inputs, kernel_shape=list(layer.kernel_size), strides=list(layer.stride),
                         pads=[layer.padding[0]] * 4)

    def activation(self, name, x, act):
        if not isinstance(act, Poly):
            return self.node("Relu", name, [x])
        a, b, c = (self.constant(f"{name}.{k}", v.double().reshape(-1, 1, 1).numpy())
                   for k, v in zip("abc", act.coefficients()))
        y = self.node("Add", name + ".slope", [self.node("Mul", name + ".ax", [x, a]), b])
        return self.node("Add", name, [self.node("Mul", name + ".product", [y, x]), c])

    def block(self, name, x, block):
        y = self.conv(name + ".conv1", x, block.conv1, block.bn1)
        y = self.conv(name + ".conv2", self.activation(name + ".act1", y, block.act1), block.conv2, block.bn2)
        if len(block.shortcut):
            x = self.conv(name + ".shortcut", x, *block.shortcut)
        return self.activation(name + ".act2", self.node("Add", name + ".sum", [y, x]), block.act2)

    def network(self, net):
        x = self.node("Sub", "centred", ["image", self.constant("mean", net.mean)])
        x = self.node("Mul", "normalised", [x, self.constant("scale", net.scale)])
        x = self.activation("act", self.conv("conv", x, net.conv, net.bn), net.act)
        for i, block in enumerate(net.body):
            x = self.block(f"block{i + 1}", x, block)
        x = self.node("Flatten", "features", [self.node("GlobalAveragePool", "average", [x])])
        fc = [self.constant("fc." + k, getattr(net.fc, k).detach()) for k in ("weight", "bias")]
        return self.node("Gemm", "logits", [x, *fc], transB=1)


def model_of(net, name):
    w = Writer()
    w.network(net.eval())
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 32, 32])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", net.fc.out_features])
    graph = helper.make_graph(w.nodes, name, [image], [logits], w.weights)
    model = helper.make_model(graph, producer_name="velum models/resnet", opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    helper.set_model_props(model, {"velum.metric": "accuracy", "velum.range:image": "0 255"})
    onnx.checker.check_model(model)
    return model


def random_net(shape, classes, seed):
    """Random weights; ranges and normalisations' statistics from one pass over drawn pictures. Ranges are four times
    what these reach: a network that was not trained for its parabolas grows fast where they bend much."""
    torch.manual_seed(seed)
    net = ResNet(shape, "poly", classes).train()
    for m in net.modules():
        if isinstance(m, Poly):
            m.follow = 4.0
        if isinstance(m, torch.nn.BatchNorm2d):
            m.momentum = 1.0  # the statistics of this pass
    with torch.no_grad():
        logits = net(torch.tensor(scenes(256, seed)[0], dtype=torch.float32))
        scale = 2 / logits.std(0)
        net.fc.weight.mul_(scale[:, None])
        net.fc.bias.copy_((net.fc.bias - logits.mean(0)) * scale)
    return net.eval()


def logits_of(net, pictures):
    """PyTorch's answers in float64."""
    with torch.no_grad():
        return net.double()(torch.tensor(pictures, dtype=torch.float64)).numpy()


def options():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("weights", type=Path, nargs="?")
    a.add_argument("out", type=Path)
    a.add_argument("--expected", type=Path, help="file for PyTorch's logits of the drawn pictures")
    a.add_argument("--random", type=int, metavar="SEED")
    a.add_argument("--shape", choices=SHAPES, default="resnet34-thin")
    a.add_argument("--classes", type=int, default=100)
    opt = a.parse_args()
    if (opt.weights is None) == (opt.random is None):
        a.error("give either weights or --random")
    return opt


def main():
    opt = options()
    torch.set_num_threads(1)
    net = restore(opt.weights)[0] if opt.weights else random_net(opt.shape, opt.classes, opt.random)
    model = model_of(net, opt.out.stem)
    pictures = scenes()[0]
    want = logits_of(net, pictures)
    worst = np.abs(evaluate(model, pictures) - want).max() / np.abs(want).max()
    if worst > MOST:
        raise SystemExit(f"the graph's logits differ by {worst:.1e} of the largest")
    onnx.save(model, opt.out)
    if opt.expected:
        rows = [[f"logits_{k}" for k in range(want.shape[1])], *([f"{v:.6f}" for v in r] for r in want)]
        opt.expected.write_text("\n".join(map(",".join, rows)) + "\n")
    print(f"{opt.out}: {opt.out.stat().st_size} bytes, ONNX against PyTorch {worst:.1e} of the largest logit, "
          f"{np.abs(want).max():.3g}")


if __name__ == "__main__":
    main()
