#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""velum check and velum prices, and what compile and explain say of plans."""
import os

import command
from command import HEART, MODEL, PATIENTS, ROWS, Case, csv_text, read, run, write

OTHER = os.path.join(HEART, "variants/dlrm_dot.onnx")


class Check(Case):
    def compile(self, *args, model=MODEL, **more):
        return self.object("compile", model, "-o", self.path("m.velum"), *args, **more)

    def test_agrees(self):
        self.compile()
        text = self.good("check", MODEL, self.path("m.velum"), "--input", PATIENTS).stdout
        self.assertIn("agrees", text)
        self.assertNotIn("departs", text)
        r = self.object("check", MODEL, self.path("m.velum"), "--input", PATIENTS)
        self.assertEqual((r["rows"], r["departs"], r["encrypted"]), (len(ROWS), None, None))
        self.assertLess(r["simulated"], 1e-12)
        compared = [x for x in r["layers"] if x["departure"] is not None]
        self.assertGreaterEqual(len(compared), 5)
        for layer in compared:
            self.assertLess(layer["departure"], 1e-10)

    def test_encrypted(self):
        self.compile()
        self.good("keygen", self.path("m.client.velum"), "--secret", self.path("s.key"), "--eval",
                  self.path("e.evk"))
        r = self.object("check", MODEL, self.path("m.velum"), "--input", PATIENTS, "--secret", self.path("s.key"),
                        "--eval", self.path("e.evk"))
        self.assertIsNone(r["departs"])
        self.assertGreater(r["encrypted"], 0)
        self.assertLess(r["encrypted"], command.ERROR)

    def test_another_model(self):
        self.compile(model=OTHER)
        p = run("check", MODEL, self.path("m.velum"), "--input", PATIENTS)
        self.assertEqual(p.returncode, 1)
        self.assertIn("first to depart", p.stderr)
        self.assertIn("departs", p.stdout)
        self.good("check", OTHER, self.path("m.velum"), "--input", PATIENTS)

    def test_few_rows(self):
        self.compile()
        write(self.path("one.csv"), csv_text(ROWS[:1]))
        r = self.object("check", MODEL, self.path("m.velum"), "--input", self.path("one.csv"))
        self.assertTrue(all(x["note"] for x in r["layers"][:-1]))
        self.assertIsNone(r["departs"])

    def test_refused(self):
        self.compile()
        m = self.path("m.velum")
        self.bad(2, "check", MODEL, m, "--input", PATIENTS, "--secret", "s", says="--eval")
        self.bad(2, "check", MODEL, m, "--input", PATIENTS, "--tolerance", "-1", says="--tolerance")
        self.bad(2, "check", MODEL, says="M.velum")
        self.bad(3, "check", MODEL, MODEL, "--input", PATIENTS)


class Prices(Case):
    def cache(self):
        return {"VELUM_PRICES": "", "XDG_CACHE_HOME": self.path("cache")}

    def kept(self):
        return os.path.join(self.path("cache/velum"), os.listdir(self.path("cache/velum"))[0])

    def test_measured_once(self):
        a = self.good("prices", env=self.cache()).stdout
        self.assertEqual(read(self.kept()).decode(), a)
        self.assertEqual(self.good("prices", env=self.cache()).stdout, a)
        write(self.kept(), a.replace("threads 1", "threads 2"))  # damaged: measured anew
        b = self.good("prices", env=self.cache()).stdout
        self.assertIn("threads 1", b)
        numbers = self.object("prices", env=self.cache())
        self.assertGreater(numbers["transform_16"], numbers["transform_12"])
        self.assertEqual(numbers["threads"], "1")

    def test_same_list_same_plan(self):
        self.good("prices", "-o", self.path("list"), env=self.cache())
        made = []
        for env in ({"VELUM_PRICES": self.path("list")}, self.cache(), {"VELUM_PRICES": "builtin"}):
            self.good("compile", MODEL, "-o", self.path("p.velum"), env=env)
            made.append(read(self.path("p.velum")))
        self.assertEqual(made[0], made[1])
        self.good("compile", MODEL, "-o", self.path("p.velum"), "--no-measure", env=self.cache())
        self.assertEqual(read(self.path("p.velum")), made[2])
        write(self.path("list"), b"velum prices 1\n")
        self.bad(3, "compile", MODEL, "-o", self.path("p.velum"), env={"VELUM_PRICES": self.path("list")}, says="list")

    def test_no_place(self):
        env = {"VELUM_PRICES": "", "XDG_CACHE_HOME": "", "HOME": ""}
        self.assertIn("transform_16", self.good("prices", env=env).stdout)
        env["XDG_CACHE_HOME"] = "/dev/null"
        self.assertIn("transform_16", self.good("prices", env=env).stdout)

    def test_ceilings(self):
        self.bad(4, "compile", MODEL, "-o", self.path("p.velum"), "--keys", "1M", says="keys")
        self.good("compile", MODEL, "-o", self.path("p.velum"), "--keys", "1G")
        self.bad(2, "compile", MODEL, "-o", self.path("p.velum"), "--precision", "99", says="--precision")
        self.good("compile", MODEL, "-o", self.path("p.velum"), "--precision", "16")

    def test_passes(self):
        self.good("compile", MODEL, "-o", self.path("p.velum"))
        text = self.good("explain", self.path("p.velum"), "--passes").stdout
        self.assertIn("\nparameters ", "\n" + text)
        passes = self.object("explain", self.path("p.velum"))["passes"]
        self.assertTrue(passes["parameters"] and passes["packing"])
        for line in passes["parameters"]:
            self.assertFalse(line.startswith("parameters"))


if __name__ == "__main__":
    command.main()
