#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Inputs of several axes: an array of any shape whose first axis counts the rows, in NPY and in NPZ, is the same as a
table of its elements' columns, for every command that reads one."""
import os
import zipfile

import command
from command import SOURCE, Case, npy, read

MODEL = os.path.join(SOURCE, "tests/nn/nets/inputs.onnx")  # x0 of 1 x 5 x 5, x1 of 3, x2 of 4
SIZES = {"x0": 25, "x1": 3, "x2": 4}
NAMES = ["%s_%d" % (name, k) for name, size in SIZES.items() for k in range(size)]
ROWS = [[(3 * r + k * k * r + k // 3) % 2 for k in range(len(NAMES))] for r in range(6)]


def part(name):
    at = NAMES.index(name + "_0")
    return [r[at:at + SIZES[name]] for r in ROWS]


class Tensors(Case):
    @classmethod
    def setUpClass(cls):
        cls.sides = command.tempfile.mkdtemp(prefix="velum-tensors-")
        cls.addClassCleanup(command.shutil.rmtree, cls.sides, ignore_errors=True)
        cls.program, cls.client = os.path.join(cls.sides, "m.velum"), os.path.join(cls.sides, "m.client.velum")

    def archive(self, name, how=(("x2", "B", "(6, 4)"), ("x0", "f", "(6, 1, 5, 5)"), ("x1", "d", "(6, 1, 3)"))):
        path = self.path(name)
        with zipfile.ZipFile(path, "w") as z:
            for input_name, kind, shape in how:
                z.writestr(input_name + ".npy", npy(part(input_name), kind, shape=shape))
        return path

    def table(self):
        text = "".join(",".join(str(v) for v in r) + "\n" for r in [NAMES, *ROWS])
        return self.path("x.csv", text)

    def compiled(self):
        if not os.path.exists(self.program):
            self.good("compile", MODEL, "-o", self.program, "--calibration", self.archive("calibration.npz"))

    def test_models_and_programs(self):
        self.compiled()
        for program in (MODEL, self.program):
            want = self.object("simulate", program, "--input", self.table())["rows"]
            self.assertEqual(len(want), len(ROWS))
            self.assertNotEqual(want[0], want[1])
            given = [self.archive("x.npz")]
            given += [self.path(kind + ".npy", npy(ROWS, kind, shape=shape))
                      for kind, shape in (("f", "(6, 4, 8)"), ("B", "(6, 2, 4, 4)"), ("i", "(6, 32)"), ("q", "(6, 32, 1)"))]
            for path in given:
                with self.subTest(program + " " + path):
                    self.assertEqual(self.object("simulate", program, "--input", path)["rows"], want)

    def test_calibration_and_encryption(self):
        self.compiled()
        other = self.path("n.velum")
        self.good("compile", MODEL, "-o", other, "--calibration", self.table())
        self.assertEqual(read(other), read(self.program))
        secret, keys, query = self.path("s.key"), self.path("e.keys"), self.path("q.ct")
        self.good("keygen", self.client, "--secret", secret, "--eval", keys)
        made = self.object("encrypt", self.client, "--secret", secret, "--input", self.archive("x.npz"), "-o", query)
        self.assertEqual(made["requests"], len(ROWS))

    def test_refusals(self):
        self.compiled()

        def refuse(path, *says):
            self.bad(3, "simulate", self.program, "--input", path, says=says)

        shapes = {"x0": "(6, 1, 5, 5)", "x1": "(6, 3)", "x2": "(6, 4)"}
        good = [(name, "d", shape) for name, shape in shapes.items()]
        refuse(self.archive("a.npz", good[:2]), "x2_0", "missing")
        refuse(self.archive("b.npz", [("x0", "d", "(30, 5)"), *good[1:]]), "x0: 5 columns", "takes 25")
        refuse(self.archive("c.npz", [("x0", "d", "(25, 6)"), *good[1:]]), "x0: 6 columns", "takes 25")
        refuse(self.archive("d.npz", [*good[:2], ("x2", "d", "(6, 5)")]), "bytes of numbers")
        refuse(self.archive("e.npz", [good[0], ("x1", "B", "(18, 1)"), good[2]]), "x1: 1 column, the model takes 3")
        refuse(self.path("f.npy", npy(ROWS, shape="(6, 4, 4, 2, 2)")), "bytes of numbers")
        refuse(self.path("g.npy", npy(ROWS, shape="(12, 4, 4)")), "16 columns", "takes 32")
        refuse(self.path("h.npy", npy(ROWS, "<i2")), "type")


if __name__ == "__main__":
    command.main()
