#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Converts rows of a Criteo file (.tsv, .tsv.gz, .tsv.xz) to the CSV that the command takes: a header with the inputs'
names, raw counts, hashes as decimal numbers, missing values as 0. Needs no package."""
import argparse
import signal
import sys

from rows import COLUMNS, rows_of, sample_path


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("input", nargs="?", default=sample_path(), help="default: the sample in $VELUM_DATA")
    a.add_argument("--first", type=int, default=0, help="rows to leave out before the first (0)")
    a.add_argument("--rows", type=int, help="how many (all)")
    a.add_argument("-o", "--out", help="file to write (standard output)")
    a.add_argument("--labels", help="file for the labels, in the same order")
    opt = a.parse_args()
    if opt.first < 0 or (opt.rows is not None and opt.rows < 0):
        a.error("--first and --rows take no negative numbers")
    labels = []
    out = open(opt.out, "w", encoding="ascii") if opt.out else sys.stdout
    with out:
        out.write(",".join(COLUMNS) + "\n")
        for label, row in rows_of(opt.input, opt.first, opt.rows):
            out.write(",".join(map(str, row)) + "\n")
            labels.append(label)
    if opt.labels:
        if None in labels:
            sys.exit(f"{opt.input}: rows without labels")
        with open(opt.labels, "w", encoding="ascii") as f:
            f.write("\n".join(["label", *map(str, labels)]) + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
