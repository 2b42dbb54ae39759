#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""velum check and velum prices, and what compile and explain say of plans."""
import json
import os
import random
import struct

import command
from command import HEART, MODEL, PATIENTS, ROWS, SOURCE, Case, csv_text, read, run, sealed, without_metadata, write

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

    def keys(self):
        """The options that name them."""
        options = ["--secret", self.path("s.key"), "--eval", self.path("e.evk")]
        self.good("keygen", self.path("m.client.velum"), *options, "--force")
        return options

    def test_encrypted(self):
        for target in ("latency", "throughput"):
            self.compile("--target", target)
            keys = self.keys()
            r = self.object("check", MODEL, self.path("m.velum"), "--input", PATIENTS, *keys)
            self.assertEqual((r["departs"], r["departs_from"]), (None, None))
            self.assertGreater(r["encrypted"], 0)
            self.assertLess(r["encrypted"], command.ERROR)
            layers = r["layers"][:-2]  # the last two are of answers
            self.assertGreaterEqual(len(layers), 6)
            for layer in layers:
                self.assertGreater(layer["encrypted"], 0)
                self.assertLess(layer["encrypted"], 2.0 ** -18)
                self.assertGreaterEqual(layer["encrypted_worst"], layer["encrypted"])
                self.assertLess(layer["encrypted"], 64 * layer["expected"])
                self.assertLess(layer["expected"], 64 * layer["encrypted"])
            text = self.good("check", MODEL, self.path("m.velum"), "--input", PATIENTS, *keys).stdout
            self.assertRegex(text, r"bottom.0 Gemm +\S+e-1\d +2\^-[23]\d\.\d +2\^-[23]\d\.\d +agrees")
            self.assertIn("all that can be compared agrees", text)

    def departing(self, *args):
        """What check says, with --json and without: the first that departs, and from what."""
        p = run("check", *args)
        j = run("check", *args, "--json")
        self.assertEqual((p.returncode, j.returncode), (1, 1))
        r = json.loads(j.stdout)
        self.assertIn(f"'{r['departs']}' is the first to depart", p.stderr)
        first = next(x for x in r["layers"] if x["departs_from"])
        self.assertEqual((first["name"], first["departs_from"]), (r["departs"], r["departs_from"]))
        self.assertIn("departs from the " + r["departs_from"], p.stdout)
        return r

    def small_net(self, size):
        """Two squares without bounds on the inputs, compiled for inputs up to 1; a table of inputs up to `size`."""
        onnx = self.path("net.onnx", without_metadata(read(os.path.join(SOURCE, "tests/nn/nets/mlp_square.onnx"))))
        draw = random.Random(1)

        def table(most):
            rows = [["%.6f" % draw.uniform(-most, most) for _ in range(8)] for _ in range(20)]
            return csv_text(rows, ["x0_%d" % i for i in range(8)])
        self.compile("--calibration", self.path("calibration.csv", table(1)), model=onnx)
        return onnx, self.path("x.csv", table(size))

    def test_changed_weight(self):
        onnx, table = self.small_net(1)
        self.good("check", onnx, self.path("m.velum"), "--input", table)
        program, name = read(self.path("m.velum")), b"2 Gemm"
        # Kind and name; two and a half references, level, scale, seconds, rows, columns; the plan; the count.
        at = program.index(struct.pack("<H", len(name)) + name) + 2 + len(name)
        rows, columns = struct.unpack_from("<II", program, at + 30)
        weights = at + 38 + 14 * 4
        self.assertEqual(struct.unpack_from("<I", program, weights), (rows * columns,))
        weight = struct.unpack_from("<d", program, weights + 4)[0]
        self.assertLess(abs(weight), 2)
        program = sealed(program[:weights + 4] + struct.pack("<d", weight + 0.5) + program[weights + 12:])
        write(self.path("m.velum"), program)
        client = read(self.path("m.client.velum"))
        write(self.path("m.client.velum"), sealed(client[:24] + program[-32:] + client[56:]))
        for keys in ([], self.keys()):
            r = self.departing(onnx, self.path("m.velum"), "--input", table, *keys)
            self.assertEqual((r["departs"], r["departs_from"]), ("2 Gemm", "model"))
            before = [x for x in r["layers"] if x["name"] in ("0 Gemm", "1 Mul")]
            self.assertTrue(before and all(x["departs_from"] is None for x in before))

    def test_overflow(self):
        """Values beyond what a level holds: the program is right, and its encrypted run is not."""
        onnx, table = self.small_net(300000)
        self.good("check", onnx, self.path("m.velum"), "--input", table, "--tolerance", 1e10)
        r = self.departing(onnx, self.path("m.velum"), "--input", table, "--tolerance", 1e10, *self.keys())
        self.assertEqual((r["departs"], r["departs_from"]), ("4 Gemm", "simulation"))

    def test_damaged_keys(self):
        self.compile()
        keys = self.keys()
        data = bytearray(read(keys[3]))
        data[-1000] ^= 1
        write(keys[3], bytes(data))
        self.bad(3, "check", MODEL, self.path("m.velum"), "--input", PATIENTS, *keys, says="damaged")

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

    def test_every_remark_has_a_pass(self):
        for name, wanted in (("mlp_silu", "1 SiLU: x in "), ("mlp_relu", "1 Relu: |x| up to "), ("lenet_max", "a maximum"),
                             ("dlrm_dot", "products as "), ("quadratic", ""), ("mlp_gelu", "1 GELU: ")):
            self.good("compile", os.path.join(SOURCE, "tests/nn/nets", name + ".onnx"), "-o", self.path("p.velum"))
            passes = self.object("explain", self.path("p.velum"))["passes"]
            self.assertEqual(passes["other"], [], name)
            self.assertIn(wanted, "\n".join(passes["fit"] + passes["fuse"]))
            text = self.good("explain", self.path("p.velum"), "--passes").stdout
            self.assertNotIn("\nother", text)

    def test_recognised_activation(self):
        """x sigmoid(x) goes by the name that people know, and check still finds the model's nodes."""
        net = os.path.join(SOURCE, "tests/nn/nets/mlp_silu.onnx")
        self.good("compile", net, "-o", self.path("p.velum"))
        text = self.good("explain", self.path("p.velum")).stdout
        self.assertIn(" 1 SiLU ", text)
        self.assertNotIn(" Mul", text)
        self.assertIn("one group of 1 request\n", text)
        self.assertIn("packing    1 request a group", text)
        self.assertNotIn(" 1 requests", text)
        table = csv_text([["%.2f" % ((5 * r + 3 * c) % 7 / 7) for c in range(8)] for r in range(6)],
                         ["x0_%d" % c for c in range(8)])
        r = self.object("check", net, self.path("p.velum"), "--input", self.path("x.csv", table))
        silu = [x for x in r["layers"] if x["name"] == "1 SiLU"]
        self.assertTrue(len(silu) == 1 and silu[0]["departure"] < 1e-3)


if __name__ == "__main__":
    command.main()
