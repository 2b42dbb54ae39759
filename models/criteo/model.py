# SPDX-License-Identifier: Apache-2.0
"""HE-LRM's network for Criteo-Kaggle, in two forms with the same weights.

Dlrm takes table rows and trains fast. Served takes the raw columns, one input each, and is what gets exported: it maps
hashes to rows, writes rows as digits and normalises counts.
"""
import torch
from torch import nn
from torch.nn import functional as F

from digits import sizes
from rows import CATEGORICAL, COLUMNS, DENSE

CLIP = 3.0  # normalised counts are cut here, so that every input is bounded


class Quadratic(nn.Module):
    """a x^2 + b x + c with three learnt scalars."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.25))
        self.b = nn.Parameter(torch.tensor(0.5))
        self.c = nn.Parameter(torch.tensor(0.0))

    def forward(self, x):
        self.seen = x  # for the range penalty and for reports
        return self.a * (x * x) + self.b * x + self.c


class Relu(nn.Module):
    def forward(self, x):
        self.seen = x
        return F.relu(x)


def stack(widths, act, last, drop=None):
    """Linear layers with an activation after each (after the last one only if `last`)."""
    layers = []
    for i, (m, n) in enumerate(zip(widths, widths[1:])):
        linear = nn.Linear(m, n)
        nn.init.normal_(linear.weight, std=(2 / (m + n)) ** 0.5)
        nn.init.normal_(linear.bias, std=(1 / n) ** 0.5 if act is Relu else 0.0)
        layers.append(linear)
        if last or i + 2 < len(widths):
            layers.append(act())
            if drop is not None:
                layers.append(nn.Dropout(drop))
    return nn.Sequential(*layers)


class Dlrm(nn.Module):
    """rows: each column's table rows before they are written as digits; activation "relu" or "poly"; interaction "cat"
    (all vectors side by side) or "dot" (the bottom's vector and the products of all pairs)."""

    def __init__(self, rows, base, threshold, activation, interaction, dim=16, drop=0.0, drop_rows=0.0):
        super().__init__()
        self.base, self.dim, self.drop_rows, self.interaction = base, dim, drop_rows, interaction
        self.sizes = [sizes(k, base, threshold) for k in rows]
        self.table = nn.Parameter(torch.cat(  # all tables, one below the other
            [torch.empty(n, dim).uniform_(-k ** -0.5, k ** -0.5) for k, s in zip(rows, self.sizes) for n in s]))
        act = {"relu": Relu, "poly": Quadratic}[activation]
        self.bottom = stack([len(DENSE), 512, 256, 64, dim], act, True)
        fields = len(rows) + 1
        pairs = torch.combinations(torch.arange(fields), 2)
        self.register_buffer("left", pairs[:, 0].contiguous(), persistent=False)
        self.register_buffer("right", pairs[:, 1].contiguous(), persistent=False)
        top = fields * dim if interaction == "cat" else dim + len(pairs)
        self.top = stack([top, 512, 256, 1], act, False, drop)
        starts, at = [], 0
        for s in self.sizes:
            starts.append(at)
            at += len(s)
        self.lookups = at  # rows read in a request
        self.register_buffer("starts", torch.tensor(starts), persistent=False)

    def places(self, index):
        """Rows of `table` [n, lookups] for the indices [n, 26]."""
        out, first = [], 0
        for j, s in enumerate(self.sizes):
            for k, n in enumerate(s):
                digit = torch.div(index[:, j], self.base ** k, rounding_mode="trunc")
                out.append((digit if k + 1 == len(s) else torch.remainder(digit, n)) + first)
                first += n
        return torch.stack(out, 1)

    def join(self, dense, vectors):
        """The top's input from the bottom's vector [n, dim] and the embeddings [n, 26, dim]."""
        if self.interaction == "cat":
            return torch.cat([dense, torch.flatten(vectors, 1)], 1)
        z = torch.cat([dense.unsqueeze(1), vectors], 1)
        left = torch.index_select(z, 1, self.left)
        right = torch.index_select(z, 1, self.right)
        return torch.cat([dense, (left * right).sum(2)], 1)

    def forward(self, dense, places):
        """The logit [n, 1] from normalised counts [n, 13] and places."""
        n = len(places)
        offsets = (torch.arange(n).unsqueeze(1) * self.lookups + self.starts).reshape(-1)
        vectors = F.embedding_bag(places.reshape(-1), self.table, offsets, mode="sum").view(n, -1, self.dim)
        if self.training and self.drop_rows:
            keep = torch.rand(n, vectors.shape[1], 1) >= self.drop_rows
            vectors = vectors * keep / (1 - self.drop_rows)
        return self.top(self.join(self.bottom(dense), vectors))

    def activations(self):
        """(name, activation) in the order of evaluation."""
        out = []
        for part in ("bottom", "top"):
            acts = [m for m in getattr(self, part) if isinstance(m, (Quadratic, Relu))]
            out += [(f"{part} {i + 1}", m) for i, m in enumerate(acts)]
        return out


class Encode(torch.autograd.Function):
    """Hash to table row; becomes the standard operator LabelEncoder of ai.onnx.ml."""

    @staticmethod
    def forward(ctx, x, code):
        at = torch.searchsorted(code.keys, x).clamp(max=code.last)
        return torch.where(code.keys[at] == x, code.rows[at], torch.zeros_like(x))

    @staticmethod
    def symbolic(g, x, code):
        row = g.op("ai.onnx.ml::LabelEncoder", x, keys_int64s_i=code.keys.tolist(),
                   values_int64s_i=code.rows.tolist(), default_int64_i=0)
        row.setType(x.type())
        return row


class Code(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        keys, rows = vocabulary.keys.tolist() or [0], vocabulary.rows.tolist() or [0]  # the operator wants one key
        self.keys, self.rows, self.last = torch.tensor(keys), torch.tensor(rows), len(keys) - 1

    def forward(self, x):
        return Encode.apply(x, self)


class Table(nn.Module):
    """e(i) = sum over j of T_j[digit j of i]."""

    def __init__(self, parts, base):
        super().__init__()
        self.base = base
        self.parts = nn.ModuleList(nn.Embedding.from_pretrained(p.detach().clone()) for p in parts)

    def forward(self, i):
        out = None
        for j, part in enumerate(self.parts):
            digit = i
            if j:
                digit = torch.div(digit, self.base ** j, rounding_mode="trunc")
            if j + 1 < len(self.parts):
                digit = torch.remainder(digit, self.base)
            out = part(digit) if out is None else out + part(digit)
        return out


class Served(nn.Module):
    """Thirteen float inputs [n,1] and twenty-six int64 inputs [n,1] to the click probability [n,1]."""

    def __init__(self, net, vocabularies, mean, std):
        super().__init__()
        self.net = net
        self.codes = nn.ModuleDict({n: Code(v) for n, v in zip(CATEGORICAL, vocabularies)})
        tables, first = {}, 0
        for name, s in zip(CATEGORICAL, net.sizes):
            tables[name] = Table(net.table[first:first + sum(s)].split(s), net.base)
            first += sum(s)
        self.tables = nn.ModuleDict(tables)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32))

    def normalise(self, counts):
        counts = torch.log(torch.relu(counts) + 1)
        return torch.clamp((counts - self.mean) / self.std, -CLIP, CLIP)

    def forward(self, *raw):
        x = dict(zip(COLUMNS, raw))
        dense = self.net.bottom(self.normalise(torch.cat([x[n] for n in DENSE], 1)))
        vectors = torch.cat([self.tables[n](self.codes[n](x[n])) for n in CATEGORICAL], 1)
        return torch.sigmoid(self.net.top(self.net.join(dense, vectors)))
