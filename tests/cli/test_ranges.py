#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Inputs beyond what a program was calibrated for: a warning that names them, or with --strict a refusal."""
import os
import random

import command
from command import SOURCE, Case, csv_text, npy, read, run, write, without_metadata

NAMES = ["x0_%d" % i for i in range(8)]


class Ranges(Case):
    def setUp(self):
        super().setUp()
        net = self.path("net.onnx", without_metadata(read(os.path.join(SOURCE, "tests/nn/nets/mlp_square.onnx"))))
        draw = random.Random(1)
        rows = [[draw.uniform(-1, 1) for _ in NAMES] for _ in range(20)]
        rows[0], rows[1] = [-1] * 8, [1] * 8
        self.report = self.good("compile", net, "-o", self.path("m.velum"), "--calibration",
                                self.path("c.npy", npy(rows))).stdout
        self.client = self.path("m.client.velum")
        self.good("keygen", self.client, "--secret", self.path("s.key"), "--eval", self.path("e.evk"))

    def encrypt(self, changes, *args):
        rows = [["0.5"] * 8 for _ in range(6)]
        for row, column, value in changes:
            rows[row - 1][column] = str(value)
        write(self.path("x.csv"), csv_text(rows, NAMES))
        return ("encrypt", self.client, "--secret", self.path("s.key"), "--input", self.path("x.csv"), "-o",
                self.path("q.ct"), *args)

    def test_within(self):
        for more in ([], ["--strict"]):  # twice as far as calibration went is what the program is laid out for
            p = self.good(*self.encrypt([(1, 0, 2), (2, 7, -2), (3, 3, 1.9)], *more))
            self.assertEqual(p.stderr, "")
            j = self.object(*self.encrypt([], *more))
            self.assertEqual((j["uncalibrated_values"], j["uncalibrated_rows"]), (0, 0))
            self.assertEqual(j["requests"], 6)

    def test_one(self):
        p = self.good(*self.encrypt([(3, 5, 1000)]))
        self.assertEqual(p.stderr.count("\n"), 1)
        for words in ("velum: warning: ", "x.csv: row 3: 'x0_5' is 1000, far from the calibrated -1 to 1", "may be wrong"):
            self.assertIn(words, p.stderr)
        self.assertNotIn("such values", p.stderr)
        self.assertIn("6 requests encrypted", p.stdout)
        self.assertTrue(os.path.exists(self.path("q.ct")))

    def test_many(self):
        many = self.encrypt([(2, 4, -2.5), (2, 5, 3), (4, 0, 2.001), (6, 7, 1e6)])
        p = self.good(*many)
        self.assertEqual(p.stderr.count("\n"), 1)
        self.assertIn("row 2: 'x0_4' is -2.5, far from the calibrated -1 to 1; 4 such values in 3 rows", p.stderr)
        j = self.object(*many)
        self.assertEqual((j["uncalibrated_values"], j["uncalibrated_rows"]), (4, 3))

    def test_strict(self):
        args = self.encrypt([(3, 5, 1000), (4, 5, -9)], "--strict")
        self.bad(4, *args, says=["x.csv: row 3: 'x0_5' is 1000", "-1 to 1", "2 such values in 2 rows"],
                 absent=self.path("q.ct"))

    def test_other_forms(self):
        values = [[0.5] * 8, [0.5] * 7 + [77]]
        p = self.good("encrypt", self.client, "--secret", self.path("s.key"), "--input", self.path("x.npy", npy(values)),
                      "-o", self.path("q.ct"))
        self.assertIn("row 2: 'x0_7' is 77", p.stderr)

    def test_explained(self):
        text = self.good("explain", self.path("m.velum")).stdout
        self.assertRegex(text, r"input +accepts +calibrated by\nx0_0 to _7 +any number +-1 to 1 +\n")
        self.assertRegex(text, r"\nerror +about 2\^-2\d\.\d expected, declared bound 2\^-1\d\.\d before")
        self.assertRegex(self.report, r"\nerror +about 2\^-2\d\.\d expected, declared at most 2\^-1\d\.\d; before")
        j = self.object("explain", self.path("m.velum"))
        self.assertLess(j["error_expected"], j["error_bound"])
        self.assertGreater(j["error_expected"], 2.0 ** -30)

    def test_not_calibrated(self):
        """Without calibration rows nothing is said: what a model's own ranges allow is right, the rest is refused."""
        s = command.sides()
        p = run("encrypt", s.c("m.client.velum"), "--secret", s.c("s.key"), "--input", command.PATIENTS, "-o",
                self.path("q.ct"), "--strict")
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        self.assertNotIn("calibrated", self.good("explain", s.s("m.velum")).stdout)


if __name__ == "__main__":
    command.main()
