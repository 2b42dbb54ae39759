#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rows of data sets that the demos refuse, plain and packed: each names the file, and the row."""
import lzma
import os

import command
from command import Case, write

CRITEO = "criteo/criteo_kaggle_sample.tsv.xz"
ROW = "1" + "\t7" * 13 + "\t68fd1e64" * 26
EMPTY = "0" + "\t" * 39  # every field but the label may be missing


class Rows(Case):
    def refused(self, content, *says):
        path = self.path("data/" + CRITEO)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path, content)
        self.bad(3, "demo", "criteo", "--data", self.path("data"), says=[path + ": ", *says])

    def wrong(self, row, last=False):
        """As the first of several, the last of them, and packed."""
        for number, text in ((1, f"{row}\n{ROW}\n"), (3, f"{ROW}\n{EMPTY}\n{row}"), (2, f"{ROW}\r\n{row}\r\n{ROW}")):
            says = f"row {number} is not a label, 13 counts and 26 hashes"
            self.refused(text.encode(), says)
        self.refused(lzma.compress(text.encode()), says)

    def test_rows(self):
        fields = ROW.split("\t")
        for row in (ROW + "\t1", ROW[:-9], EMPTY[1:], "2" + ROW[1:], "-1" + ROW[1:], "click" + ROW[1:],
                    "\t".join([*fields[:5], "many", *fields[6:]]), "\t".join([*fields[:20], "68fd1e6g", *fields[21:]]),
                    "\t".join([*fields[:39], "0" * 5000])):
            with self.subTest(row[:60]):
                self.wrong(row)

    def test_files(self):
        packed = lzma.compress(f"{ROW}\n{EMPTY}\n".encode() * 2000)
        for content in (b"", b"\n\n", lzma.compress(b"")):
            self.refused(content, "no rows")
        for cut in (12, len(packed) // 2, len(packed) - 1):
            self.refused(packed[:cut], "damaged or cut short")
        for at in (7, len(packed) // 2, len(packed) - 3):
            self.refused(packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1:], "damaged or cut short")
        self.refused(packed + b"a letter", "damaged or cut short")
        self.refused(ROW.encode().replace(b"\t7", b"\t7\0", 1), "row 1 is not")


if __name__ == "__main__":
    command.main()
