#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The round that the guide's Criteo page shows, with the first of its requests; needs the data set, and some minutes."""
import csv
import os

import command
from command import SOURCE, Case, guide_commands, read, run_guide, write

CRITEO = os.path.join(SOURCE, "models/criteo")
SAMPLE = os.path.join(os.environ.get("VELUM_DATA", ""), "criteo/criteo_kaggle_sample.tsv.xz")
REQUESTS = 3


class Criteo(Case):
    def test_page(self):
        if not os.path.exists(SAMPLE):
            self.skipTest("VELUM_DATA names no folder with criteo/criteo_kaggle_sample.tsv.xz")
        os.makedirs(self.path("models/criteo"))
        for name in os.listdir(CRITEO):
            if name != "requests.csv":
                os.symlink(os.path.join(CRITEO, name), self.path("models/criteo/" + name))
        requests = read(os.path.join(CRITEO, "requests.csv")).splitlines(keepends=True)
        write(self.path("models/criteo/requests.csv"), b"".join(requests[:1 + REQUESTS]))
        lines = guide_commands("criteo.md", ["velum demo"])
        self.assertEqual([line.split()[:2][-1] for line in lines if line.startswith("velum")],
                         ["compile", "keygen", "encrypt", "infer", "decrypt"])
        self.assertTrue(lines[0].startswith("models/criteo/tsv.py"))
        printed = run_guide(self.dir, lines)
        with open(os.path.join(CRITEO, "expected_poly.csv"), newline="", encoding="utf-8") as f:
            expected = [float(row[0]) for row in list(csv.reader(f))[1:1 + REQUESTS]]
        got = [float(line) for line in printed[lines[-1]].splitlines()[1:]]
        self.assertEqual(len(got), REQUESTS)
        self.assertLess(max(abs(a - b) for a, b in zip(got, expected)), 1e-6)
        with open(self.path("rows.csv"), newline="", encoding="utf-8") as f:
            rows = list(csv.reader(f))
        self.assertEqual(rows[0], ["I%d" % i for i in range(1, 14)] + ["C%d" % i for i in range(1, 27)])
        self.assertGreater(len(rows), 100)


if __name__ == "__main__":
    command.main()
