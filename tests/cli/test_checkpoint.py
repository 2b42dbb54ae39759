#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs of infer that are killed, and go on from their checkpoints."""
import json
import os
import signal
import subprocess
import time

import command
from command import EXPECTED, ERROR, ROWS, VELUM, Case, csv_text, read, run, sides, write

COUNT = 6  # groups of one request


class Checkpoints(Case):
    @classmethod
    def setUpClass(cls):
        s = sides()
        cls.query = s.c("many.ct")
        write(s.c("many.csv"), csv_text((ROWS * COUNT)[:COUNT]))
        p = run("encrypt", s.c("m.client.velum"), "--secret", s.c("s.key"), "--input", s.c("many.csv"), "-o", cls.query)
        assert p.returncode == 0, p.stderr
        cls.expected = (EXPECTED * COUNT)[:COUNT]

    @classmethod
    def tearDownClass(cls):
        for name in ("many.ct", "many.csv"):
            os.remove(sides().c(name))

    def infer(self, answer, *more, query=None):
        s = sides()
        return ["infer", s.s("m.velum"), "--eval", s.s("e.keys"), "--input", query or self.query, "-o", answer, *more]

    def check(self, answer, expected=None):
        s = sides()
        j = self.object("decrypt", s.c("m.client.velum"), "--secret", s.c("s.key"), "--input", answer)
        expected = expected or self.expected
        self.assertEqual(len(j["rows"]), len(expected))
        self.assertLessEqual(max(abs(r[0] - e) for r, e in zip(j["rows"], expected)), ERROR)

    def killed(self, answer, part, written, *more):
        """Ends the run with SIGKILL once so many checkpoints have been seen."""
        with subprocess.Popen([VELUM, *self.infer(answer, "--checkpoint-every", "0.001", *more)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            seen = set()
            while len(seen) < written:
                self.assertIsNone(p.poll(), "it was done before it could be killed")
                try:
                    seen.add(os.stat(part).st_mtime_ns)
                except FileNotFoundError:
                    pass
                time.sleep(0.001)
            p.kill()
        self.assertEqual(p.returncode, -signal.SIGKILL)
        self.assertFalse(os.path.exists(answer))

    def test_killed_and_continued(self):
        folder = self.path("kept")
        os.mkdir(folder)
        at = []
        for written, more in ((1, ()), (4, ("--threads", "1")), (12, ("--checkpoint", folder))):
            answer = self.path(f"a{written}.ct")
            part = os.path.join(folder if more[:1] == ("--checkpoint",) else self.dir, f"a{written}.ct.part")
            self.killed(answer, part, written, *more)
            p = self.good(*self.infer(answer, "--json", *more))
            j = json.loads(p.stdout)
            at.append(j["resumed_at"])
            self.assertGreaterEqual(j["resumed_at"], written)
            self.assertIn(f"velum: note: continuing at operation {j['resumed_at'] + 1} of ", p.stderr)
            self.assertRegex(p.stderr, r"\(checkpoint of 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\)")
            self.check(answer)
            self.assertFalse([n for n in os.listdir(self.dir) + os.listdir(folder) if "part" in n])
        self.assertGreater(at[-1], at[0])

    def test_of_another_query(self):
        answer, part = self.path("a.ct"), self.path("a.ct.part")
        self.killed(answer, part, 2)
        before = read(part)
        j = json.loads(self.good(*self.infer(answer, "--json", "--no-checkpoint")).stdout)
        self.assertEqual(j["resumed_at"], 0)
        self.assertEqual(read(part), before)
        p = self.good(*self.infer(answer, "--json", query=sides().s("q.ct")))
        self.assertIn("checkpoint: of another query; starting over", p.stderr)
        self.assertEqual(json.loads(p.stdout)["resumed_at"], 0)
        self.check(answer, EXPECTED)
        self.assertFalse(os.path.exists(part))

    def test_damaged(self):
        answer, part = self.path("a.ct"), self.path("a.ct.part")
        self.killed(answer, part, 2)
        data = bytearray(read(part))
        data[len(data) // 2] ^= 1
        write(part, bytes(data))
        p = self.good(*self.infer(answer, "--json"))
        self.assertIn("damaged", p.stderr)
        self.assertEqual(json.loads(p.stdout)["resumed_at"], 0)
        self.check(answer)

    def test_what_is_none_stays(self):
        part = self.path("a.ct.part", "a letter")
        p = self.good(*self.infer(self.path("a.ct"), "--checkpoint-every", "0.001"))
        self.assertIn("not a checkpoint", p.stderr)
        self.assertEqual(read(part), b"a letter")
        os.truncate(part, 8 << 30)
        p = self.good(*self.infer(self.path("a.ct"), "--checkpoint-every", "0.001", "--json"))
        self.assertIn("not a checkpoint", p.stderr)
        self.assertLess(json.loads(p.stdout)["peak_rss_bytes"], 1 << 30)
        for make in (os.mkfifo, os.mkdir):
            other = self.path(make.__name__ + ".ct")
            make(other + ".part")
            self.assertIn("not a checkpoint", self.good(*self.infer(other, "--checkpoint-every", "0.001")).stderr)
            self.check(other)

    def test_short_runs_keep_none(self):
        self.good(*self.infer(self.path("a.ct")))
        self.assertEqual(os.listdir(self.dir), ["a.ct"])

    def test_options(self):
        answer = self.path("a.ct")
        self.bad(2, *self.infer(answer, "--no-checkpoint", "--checkpoint", self.dir), says="contradicts")
        self.bad(2, *self.infer(answer, "--checkpoint", self.path("nowhere")), says="a folder that is there")
        self.bad(2, *self.infer(answer, "--checkpoint-every", "never"), says="a positive number")

    def test_plan_is_said_first(self):
        j = self.object(*self.infer(self.path("a.ct")))
        self.assertGreater(j["planned_bytes"], 1 << 20)
        self.assertRegex(self.good(*self.infer(self.path("a.ct"))).stderr,
                         r"^velum: note: planned: up to [\d.]+ MB of memory, about [\d.]+ m?s\n")


if __name__ == "__main__":
    command.main()
