# SPDX-License-Identifier: Apache-2.0
"""Reads Criteo display-advertising rows, with the standard library alone.

A line holds the label, thirteen counts I1..I13 and twenty-six 32-bit hashes C1..C26 in hexadecimal, tab-separated; an
empty field is missing. Here a missing count is 0 and a missing hash is 0.
"""
import gzip
import lzma
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
DENSE = [f"I{i}" for i in range(1, 14)]
CATEGORICAL = [f"C{i}" for i in range(1, 27)]
COLUMNS = DENSE + CATEGORICAL


def data_dir():
    return Path(os.environ.get("VELUM_DATA") or HERE.parents[1] / ".." / "shared" / "data")


def sample_path():
    return data_dir() / "criteo" / "criteo_kaggle_sample.tsv.xz"


def open_text(path):
    openers = {".xz": lzma.open, ".gz": gzip.open}
    return openers.get(Path(path).suffix, open)(path, "rt", encoding="ascii", newline="\n")


def parse(line):
    """(label or None, 39 integers) of one line; ValueError if it is none."""
    fields = line.rstrip("\r\n").split("\t")
    if len(fields) not in (39, 40):
        raise ValueError(f"{len(fields)} fields, 40 (or 39 without a label) are a row")
    label = None
    if len(fields) == 40:
        if fields[0] not in ("0", "1"):
            raise ValueError(f"the label is '{fields[0][:20]}'")
        label = int(fields[0])
    values = fields[-39:]
    counts = [int(v) if v else 0 for v in values[:13]]
    hashes = [int(v, 16) if v else 0 for v in values[13:]]
    if not all(0 <= h < 1 << 32 for h in hashes):
        raise ValueError("a hash has more than 32 bits")
    return label, counts + hashes


def rows_of(path, first=0, count=None):
    """The parsed rows [first, first + count) of a file."""
    with open_text(path) as f:
        for number, line in enumerate(f):
            if number < first:
                continue
            if count is not None and number >= first + count:
                return
            try:
                yield parse(line)
            except ValueError as e:
                raise SystemExit(f"{path}: line {number + 1}: {e}")
