# SPDX-License-Identifier: Apache-2.0
"""Embedding tables written as digits (HE-LRM, arXiv 2506.18150).

A table of k rows becomes l = ceil(log_p k) tables of p rows: e(i) = sum over j of T_j[digit j of i], digits least
significant first. A table of at most `threshold` rows stays whole.
"""
BASE, THRESHOLD = 4, 500

# The rows of C1..C26 in the whole Kaggle train set: the paper's network is 1,083 one-hot numbers wide.
FULL_ROWS = [1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992, 5461306, 10,
             5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572]


def sizes(rows, base=BASE, threshold=THRESHOLD):
    """The rows of the tables that stand for a table of `rows` rows."""
    if base < 2 or rows <= threshold:
        return [rows]
    out, reach = [base], base
    while reach < rows:
        out.append(base)
        reach *= base
    return out


def width(rows, base=BASE, threshold=THRESHOLD):
    """The one-hot numbers that all columns take together; rows: a table's rows for each column."""
    return sum(sum(sizes(k, base, threshold)) for k in rows)
