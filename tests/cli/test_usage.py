#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Arguments, help and JSON: what needs no model."""
import json
import re

import command
from command import Case, run

COMMANDS = "demo compile explain simulate check keygen encrypt infer decrypt bench prices version help".split()


class Usage(Case):
    def test_help(self):
        overview = self.good("help").stdout
        for name in COMMANDS:
            self.assertIn("\n  " + name, overview)
            text = self.good("help", name).stdout
            self.assertIn("usage: velum " + name, text)
            self.assertEqual(self.good(name, "--help").stdout, text)
            self.assertEqual(self.good(name, "-h").stdout, text)
            for line in text.splitlines():
                self.assertLessEqual(len(line), 120)
            self.assertEqual(self.object("help", name)["name"], name)
        self.assertEqual(self.good("--help").stdout, overview)
        self.assertEqual([c["name"] for c in self.object("help")["commands"]], COMMANDS)

    def test_version(self):
        line = self.good("version").stdout.splitlines()[0]
        self.assertRegex(line, r"^velum \d+\.\d+\.\d+$")
        self.assertEqual(self.good("--version").stdout.splitlines()[0], line)
        self.assertEqual("velum " + self.object("version")["version"], line)

    def test_wrong_usage(self):
        p = run()
        self.assertEqual((p.returncode, p.stdout), (2, ""))
        self.assertIn("usage: velum", p.stderr)
        self.bad(2, "frobnicate", says="frobnicate")
        self.bad(2, "help", "frobnicate", says="frobnicate")
        self.bad(2, "explain", says="M.velum")
        self.bad(2, "explain", "a", "b", says="'b'")
        self.bad(2, "explain", "a", "--frobnicate", says="--frobnicate")
        self.bad(2, "explain", "a", "--frobnicate=1", says="'--frobnicate'")
        self.bad(2, "explain", "a", "-x", says="-x")
        self.bad(2, "explain", "a", "--input", "b", says="--input")  # of another command
        self.bad(2, "explain", "a", "--jso", says="--jso")
        self.bad(2, "infer", "a", "--eval", "b", "--input", "c", says="--output")
        self.bad(2, "infer", "a", "--eval", "b", "--input", "c", "-o", says="--output")
        self.bad(2, "infer", "a", "--eval=", "--input", "c", "-o", "d", says="--eval")
        self.bad(2, "infer", "a", "--eval=b", "--eval", "b", "--input", "c", "-o", "d", says="twice")
        self.bad(2, "keygen", "a", "--secret", "b", "--eval", "c", "--force=yes", says="--force")
        for threads in ("0", "-1", "two", "1.5", "99999", "1x", ""):
            self.bad(2, "explain", "a", "--threads=" + threads, says="--threads")

    def test_option_order(self):
        for args in (["x.velum", "--eval", "k", "--input", "q", "-o", "a"], ["-oa", "--input=q", "--eval=k", "x.velum"],
                     ["--eval", "k", "x.velum", "--input", "q", "--output", "a"],
                     ["--eval", "k", "--input", "q", "--output=a", "--threads=1", "--", "x.velum"]):
            self.bad(3, "infer", *args, says="x.velum", cwd=self.dir)
        self.bad(3, "explain", "--", "--json", says="--json: No such file", cwd=self.dir)

    def test_failure_in_json(self):
        for args, code in ((["explain", "nowhere"], 3), (["explain"], 2), (["nothing"], 2)):
            p = run(*args, "--json", cwd=self.dir)
            self.assertEqual(p.returncode, code)
            self.assertEqual(json.loads(p.stdout), {"error": p.stderr[len("velum: "):].rstrip("\n"), "exit": code})

    def test_no_terminal_control(self):
        line = self.bad(3, "explain", "a\x1b[2Jb\nc", cwd=self.dir)
        self.assertNotRegex(line, r"[\x00-\x1f]")


class Bench(Case):
    KEYS = {"name", "log_n", "limbs", "special", "digits", "kernel", "threads", "seconds_min", "seconds_median", "reps"}

    def bench(self, regex, *more):
        j = self.object("bench", "--filter", regex, *more)
        self.assertTrue(j["machine"])
        for r in j["results"]:
            self.assertLessEqual(self.KEYS, set(r))
            self.assertTrue(re.search(regex, r["name"]))
            self.assertLessEqual(r["seconds_min"], r["seconds_median"])
            self.assertGreater(r["seconds_min"], 0)
            self.assertGreaterEqual(r["reps"], 5)
        return j["results"]

    def test_transforms(self):
        results = self.bench("^ntt_(forward|inverse)$", "--threads", "1")
        for name in ("ntt_forward", "ntt_inverse"):
            for log_n in (14, 15, 16):
                kernels = [r["kernel"] for r in results if (r["name"], r["log_n"], r["limbs"]) == (name, log_n, 1)]
                self.assertIn("ref", kernels)
                self.assertEqual(len(kernels), len(set(kernels)))

    def test_operations(self):
        results = self.bench("^(encode|rotate)$")
        for name in ("encode", "rotate"):
            shapes = [(r["log_n"], r["limbs"], r["special"], r["digits"]) for r in results if r["name"] == name]
            self.assertEqual(shapes, [(14, 7, 2, 4), (15, 15, 3, 5), (16, 30, 6, 5), (16, 15, 6, 3)])

    def test_filter(self):
        self.assertEqual(self.bench("^no such name$"), [])
        self.bad(2, "bench", "--filter", "(", "--json=1")
        p = run("bench", "--filter", "(")
        self.assertEqual(p.returncode, 2)
        self.assertEqual(p.stderr.count("\n"), 1)


if __name__ == "__main__":
    command.main()
