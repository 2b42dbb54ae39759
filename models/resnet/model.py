# SPDX-License-Identifier: Apache-2.0
"""ResNets for 32x32 pictures (He et al., https://arxiv.org/abs/1512.03385, section 4.2) with activations of degree 2.

Each convolution is followed by a batch normalisation and each block's sum by an activation; shortcuts across a change
of shape are 1x1 convolutions of stride 2 with a batch normalisation (option B). The input is raw pixels, 0 to 255.
"""
import torch
from torch import nn

SHAPES = {  # channels of each stage, blocks of each stage
    "resnet20": ((16, 32, 64), (3, 3, 3)),
    "resnet32": ((16, 32, 64), (5, 5, 5)),
    "resnet34-thin": ((16, 32, 64, 128), (3, 4, 6, 3)),
}
MEAN, STD = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)  # of the training pictures' red, green and blue
# The first three terms of ReLU in Hermite polynomials, for a standard normal t: 1/sqrt(2 pi) + t/2 + (t^2 - 1)/sqrt(8 pi)
HERMITE = (0.19947114, 0.5, 0.19947114)
# In units of s: training penalises inputs beyond REACH and cuts them at CUT; RANGE is the range claimed for all pictures.
REACH, CUT, RANGE = 3.0, 4.0, 6.0
SPREAD = 16.0  # the largest s of a layer over the smallest


class Quadratic(torch.autograd.Function):
    """x [n, channels, h, w], a b c and s [channels] -> a x^2 + b x + c of x cut at +-CUT s, and what of |x| exceeds
    REACH s, relative to it: the sum of its squares over a picture. For training: one picture that leaves a range would
    grow from layer to layer and drown the others. Written out for speed; x is the only argument with a gradient."""

    @staticmethod
    def forward(ctx, x, a, b, c, s):
        a, b, c, s = (v[:, None, None] for v in (a, b, c, s))
        wide = x if x.dtype == torch.float64 else x.float()
        beyond = (wide - wide.clamp(-REACH * s, REACH * s)) / (REACH * s)
        ctx.save_for_backward(x, a, b, s)
        held = wide.clamp(-CUT * s, CUT * s)
        return (held * a).add_(b).mul_(held).add_(c).to(x.dtype), beyond.square().sum() / len(x)

    @staticmethod
    def backward(ctx, g, penalty):
        x, a, b, s = ctx.saved_tensors
        gx = (x * (2 * a)).add_(b).mul_(g).mul_(x.abs() <= CUT * s)  # a and b are float32, so is this
        gx += (x - x.clamp(-REACH * s, REACH * s)) * (2 * penalty / len(x) / (REACH * s).square())
        return gx.to(x.dtype), None, None, None, None


class Poly(nn.Module):
    """Per channel s P(x / s): the shape of ReLU over the range [-RANGE s, RANGE s] of the channel. Channels that died
    get an s of their layer's order: their parabolas would be steep, and a program's noise is what the whole layer needs.

    A normalisation before and weights behind can make any parabola of it, so P itself is not learnt. While `follow` is
    not 0, training lets s follow the largest |x| that is seen, times `follow`; afterwards it stays. `excess` is what the
    batch has beyond +-REACH s, for a penalty.
    """

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("s", torch.zeros(channels))  # until the first pictures are seen
        self.follow, self.excess = 0.0, None

    def spans(self):
        """s of each channel."""
        return torch.maximum(self.s, self.s.max() / SPREAD)

    def coefficients(self):
        """a, b, c of a x^2 + b x + c, each [channels]."""
        c, b, a = HERMITE
        s = self.spans()
        return a / s, b * torch.ones_like(s), c * s

    def forward(self, x):
        if self.training and self.follow:
            with torch.no_grad():
                peak = torch.maximum(x.amax((0, 2, 3)), -x.amin((0, 2, 3))).float()
                self.s.copy_(torch.maximum(0.99 * self.s, self.follow * peak / REACH + 1e-3))
        if self.training:
            y, self.excess = Quadratic.apply(x, *self.coefficients(), self.spans())
            return y
        a, b, c = (v[:, None, None] for v in self.coefficients())
        return (a * x + b) * x + c


class Relu(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return torch.relu(x)


def conv(inputs, outputs, size, stride):
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class Block(nn.Module):
    def __init__(self, act, inputs, outputs, stride):
        super().__init__()
        self.conv1, self.bn1, self.act1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), act(outputs)
        self.conv2, self.bn2, self.act2 = conv(outputs, outputs, 3, 1), nn.BatchNorm2d(outputs), act(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.act1(self.bn1(self.conv1(x)))
        return self.act2(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """image float [n, 3, 32, 32], 0..255 -> logits [n, classes]"""

    def __init__(self, shape="resnet20", activation="poly", classes=10):
        super().__init__()
        act = {"poly": Poly, "relu": Relu}[activation]
        channels, blocks = SHAPES[shape]
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("scale", 1 / torch.tensor(STD)[:, None, None])
        self.conv, self.bn, self.act = conv(3, channels[0], 3, 1), nn.BatchNorm2d(channels[0]), act(channels[0])
        body, inputs = [], channels[0]
        for stage, (outputs, n) in enumerate(zip(channels, blocks)):
            for k in range(n):
                body.append(Block(act, inputs, outputs, 2 if stage and not k else 1))
                inputs = outputs
        self.body = nn.Sequential(*body)
        self.fc = nn.Linear(inputs, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.act(self.bn(self.conv((x - self.mean) * self.scale)))
        return self.fc(self.body(x).mean((2, 3)))

    def activations(self):
        """[(name in the exported graph, module)] in the order of evaluation."""
        named = [("act", self.act)]
        for i, block in enumerate(self.body):
            named += [(f"block{i + 1}.act1", block.act1), (f"block{i + 1}.act2", block.act2)]
        return named
