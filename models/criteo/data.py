# SPDX-License-Identifier: Apache-2.0
"""The Criteo rows as arrays: the split by position, vocabularies, and rows that nobody produced."""
import numpy as np

from rows import rows_of

SPLIT = (98000, 8500, 8500)  # rows to train, validate and test with


def parts(split):
    """The rows (from, to) of each part, by position in the file, which is in time order."""
    out, at = {}, 0
    for name, rows in zip(("train", "validation", "test"), split):
        out[name] = (at, at + rows)
        at += rows
    return out


def load(path, count=None):
    """(labels [n], counts [n,13] float64, hashes [n,26] int64)."""
    labels, values = [], []
    for label, row in rows_of(path, 0, count):
        if label is None:
            raise SystemExit(f"{path}: rows without labels")
        labels.append(label)
        values.append(np.array(row, dtype=np.int64))
    table = np.stack(values)
    return np.array(labels, dtype=np.int8), table[:, :13].astype(np.float64), table[:, 13:]


# ---- vocabularies ----

class Vocabulary:
    """One column's map from hash to table row. Row 0 is for everything else: rare, unknown and missing values."""

    def __init__(self, keys, rows):
        order = np.argsort(keys)
        self.keys, self.rows = np.asarray(keys)[order], np.asarray(rows)[order]

    @property
    def size(self):
        return len(self.keys) + 1

    def __call__(self, hashes):
        if not len(self.keys):
            return np.zeros_like(hashes)
        at = np.minimum(np.searchsorted(self.keys, hashes), len(self.keys) - 1)
        return np.where(self.keys[at] == hashes, self.rows[at], 0)


def vocabulary(hashes, labels, least, order, smooth, folds, seed, digits):
    """(the vocabulary of a training column, the indices [n] to train with).

    Values seen fewer than `least` times share row 0. order "count" numbers the others by frequency, "rate" by their
    smoothed click rate (clicks + smooth * base) / (count + smooth), lowest first, so that the high digits of an index
    say something that unrelated values can share. The rate contains the labels, which a model would trust too much on
    the rows that they come from; with folds > 0 and `digits` true each training row therefore takes the place that its
    value would have by the rows of the other folds.
    """
    values, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    clicks = np.bincount(inverse, weights=labels, minlength=len(values))
    base = labels.mean()
    kept = np.flatnonzero((counts >= least) & (values != 0))
    rates = (clicks + smooth * base) / (counts + smooth)
    key = rates[kept] if order == "rate" else -counts[kept]
    kept = kept[np.argsort(key, kind="stable")]
    v = Vocabulary(values[kept], np.arange(1, len(kept) + 1))
    index = v(hashes)
    if order == "rate" and folds and digits(v.size):
        fold = np.random.RandomState(seed).permutation(len(hashes)) % folds
        shape = (folds, len(values))
        cell = fold * len(values) + inverse
        n = counts - np.bincount(cell, minlength=folds * len(values)).reshape(shape)
        c = clicks - np.bincount(cell, weights=labels, minlength=folds * len(values)).reshape(shape)
        rate = ((c + smooth * base) / (n + smooth))[fold, inverse]
        place = np.minimum(np.searchsorted(rates[kept], rate), len(kept) - 1) + 1
        index = np.where(index > 0, place, 0)
    return v, index


# ---- invented rows ----

def invented(counts, hashes, vocabularies, n, seed, alike=0):
    """n rows [n,39] int64 in which every column is drawn on its own, so that no row is anybody's.

    The first `alike` rows have all counts at one common rank, and all hashes at another one by their table rows: they
    reach further, as busy and idle users do. A count is rounded to two significant digits; a hash that is too rare for
    the vocabulary becomes a random one.
    """
    rng = np.random.RandomState(seed)
    rank = rng.randint(len(counts), size=(n, 39))
    rank[:alike, :13], rank[:alike, 13:] = rank[:alike, :1], rank[:alike, 13:14]
    out = np.empty((n, 39), dtype=np.int64)
    for i in range(13):
        v = np.sort(counts[:, i])[rank[:, i]]
        unit = 10.0 ** np.maximum(np.floor(np.log10(np.maximum(np.abs(v), 1))) - 1, 0)
        out[:, i] = np.round(v / unit) * unit
    for j, vocab in enumerate(vocabularies):
        row = vocab(hashes[:, j])
        at = np.argsort(row, kind="stable")[rank[:, 13 + j]]
        v = hashes[at, j]
        strange = rng.randint(1, 1 << 32, size=n, dtype=np.int64)
        out[:, 13 + j] = np.where((row[at] > 0) | (v == 0), v, strange)
    real = {r.tobytes() for r in np.concatenate([counts.astype(np.int64), hashes], 1)}
    if any(r.tobytes() in real for r in out):
        raise SystemExit("an invented row is a real one")
    return out
