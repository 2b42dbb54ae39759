#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the guide shows works: its shell lines are run (the Criteo page's by test_guide_criteo.py), its C lines are those
of the example, and the example is run."""
import os
import re
import subprocess
import sys

import command
from command import EXPECTED, HEART, SOURCE, VELUM, Case, guide, guide_commands, run_guide


OWN = "your-own-model.md"


def python_with_torch():
    """The folder of an interpreter that has what examples/own_model.py takes; None if there is none."""
    for python in (sys.executable, "/usr/bin/python3"):
        if os.path.exists(python) and subprocess.run([python, "-c", "import numpy, onnx, torch"],
                                                     capture_output=True).returncode == 0:
            return python
    return None


def column(text):
    return [float(line) for line in text.splitlines()[1:]]


class Guide(Case):
    def near(self, got, want, within):
        self.assertEqual(len(got), len(want))
        self.assertLess(max(abs(a - b) for a, b in zip(got, want)), within)

    def test_first_steps(self):
        os.symlink(os.path.dirname(HEART), self.path("models"))
        os.mkdir(self.path("server")), os.mkdir(self.path("client"))
        lines = guide_commands("first-steps.md")
        self.assertEqual([line.split()[1] for line in lines if line.startswith("velum")],
                         ["compile", "explain", "keygen", "encrypt", "infer", "decrypt"])
        printed = run_guide(self.dir, lines)
        self.near(column(printed[lines[-1]]), EXPECTED, command.ERROR)

    def test_own_model(self):
        python = python_with_torch()
        if not python:
            self.skipTest("no Python with torch and onnx")
        os.mkdir(self.path("bin"))
        os.symlink(python, self.path("bin/python3"))
        os.symlink(os.path.join(SOURCE, "examples"), self.path("examples"))
        lines = guide_commands(OWN)
        self.assertEqual([line.split()[1] for line in lines if line.startswith("velum")],
                         ["compile", "explain", "simulate", "simulate", "check", "keygen", "check", "keygen", "encrypt",
                          "infer", "decrypt"])
        printed = run_guide(self.dir, lines, [self.path("bin")])
        with open(self.path("expected.csv"), encoding="utf-8") as f:
            expected = column(f.read())
        model, program = [column(printed[line]) for line in lines if line.startswith("velum simulate")]
        self.near(model, expected, 1e-5)
        self.near(program, expected, 1e-2)
        self.near(column(printed[lines[-1]]), program, 1e-4)
        explained = printed["velum explain pump.velum"]
        self.assertRegex(explained, r"(?m)^age +any number +\S+ to \S+ *$")
        self.assertRegex(explained, r"(?m)^kind +0 1 2 *$")  # a category: calibration says nothing of it
        # The layers that the page shows are the layers that there are, and none departs.
        for line in lines:
            if line.startswith("velum check"):
                shown = re.search(re.escape(line) + r"\n(.*?)```", guide(OWN), re.S).group(1)
                names = re.findall(r"^  (\S.*?)  +\S+e-\d+ ", shown, re.M)
                self.assertGreaterEqual(len(names), 6)
                for name in names:
                    self.assertRegex(printed[line], r"(?m)^  " + re.escape(name) + " .* agrees$")
        # So are the lines of compile and explain but for their figures: another torch trains another network.
        for line in (x for x in lines if x.startswith(("velum compile", "velum explain"))):
            shown = re.search(re.escape(line) + r"\n(.*?)```", guide(OWN), re.S).group(1)
            found = re.findall(r"^(?:note +\w+: [^:]*:| +\d (?:\S+ )+ |[a-z]+ {2,})", shown, re.M)
            self.assertGreaterEqual(len(found), 6)
            for words in found:
                self.assertIn(words.rstrip(), printed[line])

    def test_every_option_exists(self):
        for name in sorted(os.listdir(os.path.join(SOURCE, "docs/guide"))):
            for used, options in re.findall(r"velum (\w+)((?: +[^`\n]*)?)", guide(name)):
                if used in ("infer", "encrypt", "decrypt", "keygen", "compile", "simulate", "check", "prices", "bench", "demo", "explain"):
                    text = self.good("help", used).stdout
                    for option in re.findall(r"--\w+", options):
                        self.assertIn(option, text)

    def test_c_lines(self):
        with open(os.path.join(SOURCE, "examples/heart.c"), encoding="utf-8") as f:
            example = {line.strip() for line in f}
        blocks = re.findall(r"^```c\n(.*?)^```$", guide("c-library.md"), re.M | re.S)
        self.assertTrue(blocks)
        for line in "".join(blocks).splitlines():
            self.assertIn(line.strip(), example)

    def test_example(self):
        example = os.path.join(os.path.dirname(VELUM), "examples/heart")
        if not os.path.exists(example):
            self.skipTest("the example is not built beside the command")
        p = subprocess.run([example, command.MODEL], capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertAlmostEqual(float(p.stdout.split()[-1]), EXPECTED[3], delta=command.ERROR)
        p = subprocess.run([example, os.path.join(self.dir, "none")], capture_output=True, text=True)
        self.assertEqual(p.returncode, 1)


if __name__ == "__main__":
    command.main()
