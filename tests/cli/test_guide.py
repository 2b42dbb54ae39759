#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the guide shows works: its shell lines are run, its C lines are those of the example, and the example is run."""
import os
import re
import subprocess

import command
from command import EXPECTED, HEART, SOURCE, VELUM, Case


def guide(name):
    with open(os.path.join(SOURCE, "docs/guide", name), encoding="utf-8") as f:
        return f.read()


class Guide(Case):
    def test_first_steps(self):
        os.symlink(os.path.dirname(HEART), self.path("models"))
        os.symlink(VELUM, self.path("velum"))
        os.mkdir(self.path("server")), os.mkdir(self.path("client"))
        blocks = re.findall(r"^```\n(.*?)^```$", guide("first-steps.md"), re.M | re.S)
        script = "set -e\n" + "".join(b for b in blocks if not b.startswith("make"))
        self.assertIn("velum decrypt", script)
        p = subprocess.run(["sh", "-c", script], cwd=self.dir, capture_output=True, text=True,
                           env={**os.environ, "PATH": self.dir + ":" + os.environ["PATH"]})
        self.assertEqual(p.returncode, 0, p.stderr)
        answers = [float(line) for line in p.stdout.splitlines()[-len(EXPECTED):]]
        self.assertLess(max(abs(a - b) for a, b in zip(answers, EXPECTED)), command.ERROR)

    def test_every_option_exists(self):
        for name in ("first-steps.md", "c-library.md"):
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
