# SPDX-License-Identifier: Apache-2.0
"""A deep learning recommendation model (DLRM) for the UCI heart disease data.

Thirteen raw attributes in, one probability out. Normalisation and category coding
belong to the graph, activations are polynomials of degree two.
"""
import torch
from torch import nn

# The attributes in the order of the data file and of the graph's inputs.
NAMES = ["age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach",
         "exang", "oldpeak", "slope", "ca", "thal"]
# Continuous: the raw range that a client accepts.
RANGES = {"age": (1, 120), "trestbps": (50, 260), "chol": (80, 700),
          "thalach": (40, 230), "oldpeak": (-3, 8)}
# Categorical: the raw values, in the order of their codes.
VALUES = {"sex": (0, 1), "cp": (1, 2, 3, 4), "fbs": (0, 1), "restecg": (0, 1, 2),
          "exang": (0, 1), "slope": (1, 2, 3), "ca": (0, 1, 2, 3), "thal": (3, 6, 7)}
TEXT = {
    "age": "age in years",
    "sex": "sex: 0 female, 1 male",
    "cp": "chest pain: 1 typical angina, 2 atypical angina, 3 non-anginal, 4 none",
    "trestbps": "resting blood pressure on admission, mm Hg",
    "chol": "serum cholesterol, mg/dl",
    "fbs": "fasting blood sugar above 120 mg/dl: 0 no, 1 yes",
    "restecg": "resting ECG: 0 normal, 1 ST-T abnormality, 2 left ventricular hypertrophy",
    "thalach": "maximum heart rate reached, beats per minute",
    "exang": "angina on exercise: 0 no, 1 yes",
    "oldpeak": "ST depression by exercise relative to rest, mm",
    "slope": "slope of the peak exercise ST segment: 1 up, 2 flat, 3 down",
    "ca": "major vessels coloured by fluoroscopy, 0 to 3",
    "thal": "thallium scan: 3 normal, 6 fixed defect, 7 reversible defect",
}
CLIP = 3.0  # normalised values are cut here, so that every input is bounded


class Quadratic(nn.Module):
    """a x^2 + b x + c with three learnt scalars."""

    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.2))
        self.b = nn.Parameter(torch.tensor(0.5))
        self.c = nn.Parameter(torch.tensor(0.0))
        self.seen = None

    def forward(self, x):
        self.seen = x  # kept for the range penalty and for reports
        return self.a * (x * x) + self.b * x + self.c


class Code(nn.Module):
    """The raw value of a category to its code 0..k-1, in integers."""

    def __init__(self, values):
        super().__init__()
        self.offset = values[0]
        table = None
        if values != tuple(range(values[0], values[0] + len(values))):
            table = torch.zeros(values[-1] + 1, dtype=torch.int64)
            for code, value in enumerate(values):
                table[value] = code
        self.register_buffer("table", table)

    def forward(self, x):
        i = x.to(torch.int64)
        if self.table is not None:
            return self.table[i]
        return i - self.offset if self.offset else i


class Table(nn.Module):
    """An embedding of k rows: whole, or e(i) = sum_j T_j[digit_j(i)] with tables of
    `base` rows each and the digits of i least significant first."""

    def __init__(self, k, dim, base, threshold):
        super().__init__()
        self.base, sizes = base, [k]
        if base > 1 and k > threshold:
            sizes = [base]
            while base ** len(sizes) < k:
                sizes.append(base)
        self.parts = nn.ModuleList(nn.Embedding(n, dim) for n in sizes)
        for part in self.parts:
            nn.init.uniform_(part.weight, -k ** -0.5, k ** -0.5)

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


class Dlrm(nn.Module):
    def __init__(self, mean, std, dim=8, bottom=16, top=32, interaction="cat",
                 base=0, threshold=0, digits=()):
        super().__init__()
        self.interaction = interaction
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32))
        self.codes = nn.ModuleDict({n: Code(v) for n, v in VALUES.items()})
        self.tables = nn.ModuleDict(
            {n: Table(len(v), dim, base if n in (digits or VALUES) else 0, threshold)
             for n, v in VALUES.items()})
        self.bottom = nn.Sequential(
            nn.Linear(len(RANGES), bottom), Quadratic(), nn.Linear(bottom, dim))
        fields = len(VALUES) + 1
        pairs = torch.combinations(torch.arange(fields), 2)
        self.register_buffer("left", pairs[:, 0].contiguous())
        self.register_buffer("right", pairs[:, 1].contiguous())
        width = {"cat": fields * dim, "dot": dim + len(pairs),
                 "both": fields * dim + len(pairs)}[interaction]
        self.top = nn.Sequential(nn.Linear(width, top), Quadratic(), nn.Linear(top, 1))

    def logit(self, *raw):
        x = dict(zip(NAMES, raw))
        dense = torch.cat([x[n] for n in RANGES], 1)
        dense = torch.clamp((dense - self.mean) / self.std, -CLIP, CLIP)
        dense = self.bottom(dense)
        rows = torch.cat([self.tables[n](self.codes[n](x[n])) for n in VALUES], 1)
        parts = [dense]
        if self.interaction != "dot":
            parts.append(torch.flatten(rows, 1))
        if self.interaction != "cat":
            z = torch.cat([dense.unsqueeze(1), rows], 1)
            left = torch.index_select(z, 1, self.left)
            right = torch.index_select(z, 1, self.right)
            parts.append((left * right).sum(2))
        return self.top(torch.cat(parts, 1))

    def forward(self, *raw):
        return torch.sigmoid(self.logit(*raw))

    def ranges(self):
        """The largest |x| that each activation saw in the last forward pass."""
        return {n: float(m.seen.detach().abs().max())
                for n, m in self.named_modules() if isinstance(m, Quadratic)}
