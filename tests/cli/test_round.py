#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole round through the command, in both targets, client and server in folders of their own."""
import csv
import os
import stat
import struct
import zipfile

import command
from command import COLUMNS, ERROR, EXPECTED, HEART, PATIENTS, ROWS, Case, csv_text, npy, npz, read, run, sides

TARGETS = ("latency", "throughput")


class Round(Case):
    def near(self, rows, expected=EXPECTED, within=ERROR):
        got = [float(r[0]) for r in rows]
        self.assertEqual(len(got), len(expected))
        worst = max(abs(a - b) for a, b in zip(got, expected))
        self.assertLessEqual(worst, within)

    def test_answers(self):
        for target in TARGETS:
            with self.subTest(target):
                j = sides(target).json
                self.near(j["decrypt"]["rows"])
                self.near(j["simulate"]["rows"])
                self.assertEqual(j["decrypt"]["columns"], ["risk"])
                self.assertEqual(j["simulate"]["columns"], ["risk"])

    def test_json_keys(self):
        for target in TARGETS:
            j = sides(target).json
            for name in "seconds security_bits log_n log_qp eval_key_bytes".split():
                self.assertIn(name, j["keygen"])
            for name in "seconds load_seconds requests threads peak_rss_bytes stages predicted_seconds".split():
                self.assertIn(name, j["infer"])
            self.assertGreaterEqual(j["keygen"]["security_bits"], 128)
            self.assertEqual(j["keygen"]["eval_key_bytes"], os.path.getsize(sides(target).s("e.keys")))
            self.assertEqual(j["infer"]["requests"], len(ROWS))
            self.assertGreater(j["infer"]["peak_rss_bytes"], 1000000)
            names = [s["name"] for s in j["infer"]["stages"]]
            self.assertTrue(names)
            self.assertEqual(len(set(names)), len(names))
            for stage in j["infer"]["stages"]:
                self.assertEqual(set(stage), {"name", "seconds", "predicted_seconds"})
            self.assertAlmostEqual(sum(s["predicted_seconds"] for s in j["infer"]["stages"]),
                                   j["infer"]["predicted_seconds"], delta=1e-9)
            self.assertGreater(j["infer"]["predicted_seconds"], 1e-4)
            self.assertLessEqual(sum(s["seconds"] for s in j["infer"]["stages"]), j["infer"]["seconds"] * 1.01)

    def test_folders(self):
        for target in TARGETS:
            s = sides(target)
            self.assertEqual(sorted(os.listdir(s.client)), ["a.ct", "m.client.velum", "s.key", "x.csv"])
            self.assertEqual(sorted(os.listdir(s.server)), ["e.keys", "m.velum", "q.ct"])
            self.assertEqual(stat.S_IMODE(os.stat(s.c("s.key")).st_mode), 0o600)
            self.assertLess(os.path.getsize(s.c("m.client.velum")), 200000)

    def test_queries_differ(self):
        s = sides()
        one, two = self.path("1.ct"), self.path("2.ct")
        for q in (one, two):
            self.good("encrypt", s.c("m.client.velum"), "--secret", s.c("s.key"), "--input", PATIENTS, "-o", q)
        self.assertNotEqual(read(one), read(two))
        self.assertEqual(len(read(one)), len(read(two)))

    def test_result_files(self):
        s = sides()
        common = ["decrypt", s.c("m.client.velum"), "--secret", s.c("s.key"), "--input", s.c("a.ct")]
        rows = list(csv.reader(self.good(*common).stdout.splitlines()))
        self.assertEqual(rows[0], ["risk"])
        self.near(rows[1:])
        self.good(*common, "-o", self.path("y.csv"))
        with open(self.path("y.csv"), newline="") as f:
            self.near(list(csv.reader(f))[1:])
        self.good(*common, "--output=" + self.path("y.npy"))
        data = read(self.path("y.npy"))
        self.assertEqual(data[:8], b"\x93NUMPY\x01\x00")
        start = 10 + struct.unpack("<H", data[8:10])[0]
        self.assertEqual(start % 64, 0)
        self.assertIn("'shape': (%d, 1)" % len(ROWS), data[10:start].decode())
        self.near([[v] for v in struct.unpack("<%dd" % len(ROWS), data[start:])])

    def test_inputs(self):
        s = sides("throughput")
        order = COLUMNS[::-1]
        shuffled = [[r[COLUMNS.index(c)] for c in order] + ["free text, here"] for r in ROWS]
        quoted = "\r\n".join(",".join('"%s"' % v for v in r) for r in [order + ['a "note"'.replace('"', '""')], *shuffled])
        values = [[float(v) for v in r] for r in ROWS]
        archive = self.path("x.npz")
        with zipfile.ZipFile(archive, "w") as z:
            for i, name in enumerate(order):
                column = [[r[COLUMNS.index(name)]] for r in values]
                with z.open(name + ".npy", "w", force_zip64=True) as f:
                    f.write(npy(column, "f" if i % 2 else "d", shape="(%d,)" % len(column) if i % 3 else None))
        whole_table = npz(self.path("whole.npz"), [("anything", npy(values))])
        given = [whole_table, self.path("plain.csv", csv_text()), self.path("crlf.csv", csv_text(end="\r\n") + "\r\n \r\n"),
                 self.path("bom.csv", b"\xef\xbb\xbf" + csv_text().encode()), self.path("quoted.csv", quoted),
                 self.path("nonewline.csv", csv_text().rstrip()), self.path("d.npy", npy(values)),
                 self.path("index.csv", "".join(("%d" % i if i else "") + "," + line + "\n"
                                               for i, line in enumerate(csv_text().splitlines()))),
                 self.path("spaces.csv", csv_text().replace(",", " , ")), self.path("f.npy", npy(values, "f")), archive]
        for path in given:
            with self.subTest(path):
                self.near(self.object("simulate", s.s("m.velum"), "--input", path)["rows"])
        whole = [[round(v) for v in r] for r in values]
        text = self.path("whole.csv", csv_text([[str(v) for v in r] for r in whole]))
        a = self.object("simulate", s.s("m.velum"), "--input", text)["rows"]
        b = self.object("simulate", s.s("m.velum"), "--input", self.path("q.npy", npy(whole, "q")))["rows"]
        self.assertEqual(a, b)
        p = self.good("simulate", s.s("m.velum"), "--input", self.path("quoted.csv"))
        self.assertIn('a "note"', p.stderr)

    def test_arrays_of_parts(self):
        """An input x0 of eight numbers: one array x0, or its parts by name; the same of calibration rows."""
        net, m = os.path.join(command.SOURCE, "tests/nn/nets/mlp_square.onnx"), self.path("m.velum")
        rows = [[(7 * r + 3 * c) % 11 / 11 for c in range(8)] for r in range(5)]
        parts = [("x0_%d" % c, npy([[r[c]] for r in rows])) for c in range(8)]
        forms = [self.path("x.csv", csv_text([map(str, r) for r in rows], ["x0_%d" % c for c in range(8)])),
                 self.path("x.npy", npy(rows)), npz(self.path("1.npz"), [("x0", npy(rows))]),
                 npz(self.path("2.npz"), [("arr_0", npy(rows))]), npz(self.path("3.npz"), parts[::-1])]
        made = []
        for form in forms:
            self.good("compile", net, "-o", m, "--calibration", form)
            made.append(read(m))
            a = self.object("simulate", m, "--input", form)["rows"]
            b = self.object("simulate", net, "--input", form)["rows"]
            for x, y in zip(sum(a, []), sum(b, [])):
                self.assertAlmostEqual(x, y, delta=1e-9)
        self.assertEqual(len(set(made)), 1)
        two = [("x0", npy(rows)), ("y", npy([[1]] * 5))]  # what is not the model's is left out, with a note
        p = self.good("simulate", m, "--input", npz(self.path("x.npz"), two))
        self.assertIn("'y' is left out", p.stderr)
        for arrays, says in (([("x0", npy([r[:7] for r in rows]))], "x0: 7 columns"),
                             ([("z", npy([r[:7] for r in rows]))], "z: 7 columns, the model takes 8"),
                             ([("x0", npy([r + r[:1] for r in rows]))], "x0: 9 columns"),
                             (two[:1] + parts[3:4], "x0_3: is there twice"),
                             ([("x0_3", npy(rows)), two[1]], "x0_3: 8 columns, the model takes 1 of that name"),
                             (parts[:7], "'x0_7' is missing"),
                             (parts[:7] + [("x0_7", npy([[1], [2]]))], "x0_7: another number of rows")):
            self.bad(3, "simulate", m, "--input", npz(self.path("x.npz"), arrays), says=["x.npz: ", says])

    def test_calibration_columns(self):
        """What is wrong with calibration rows is said of their file, not of the model."""
        table = self.path("calibration.csv", csv_text([r[1:] for r in ROWS], COLUMNS[1:]))
        self.bad(3, "compile", command.MODEL, "-o", self.path("m.velum"), "--calibration", table,
                 says=["calibration.csv: calibration: no column 'age', which the model takes"])
        rows = [[float(v) for v in r] for r in ROWS]
        self.bad(3, "compile", command.MODEL, "-o", self.path("m.velum"), "--calibration",
                 self.path("c.npy", npy([r[:5] for r in rows])),
                 says=["c.npy: calibration: 5 columns, the model takes 13"])
        rows[2][COLUMNS.index("thal")] = 5000
        self.bad(3, "compile", command.MODEL, "-o", self.path("m.velum"), "--calibration", self.path("d.npy", npy(rows)),
                 says=["d.npy: calibration: row 3"])
        self.bad(3, "compile", PATIENTS, "-o", self.path("m.velum"), "--calibration", PATIENTS, says="patients.csv: ")

    def test_calibration_that_grows(self):
        """A row under which the model itself has no answer is named, with the layer."""
        for net in ("mlp_square", "mlp_silu"):
            path = os.path.join(command.SOURCE, "tests/nn/nets/%s.onnx" % net)
            rows = [[0.5] * 8, [0.1] * 8, [1e40] * 8]
            self.bad(3, "compile", path, "-o", self.path("m.velum"), "--calibration", self.path("g.npy", npy(rows)),
                     says=["g.npy: calibration: row 3 makes values grow beyond 1e+30 in '"])

    def test_one_row_and_threads(self):
        s = sides()
        one = self.path("one.csv", csv_text(ROWS[3:4]))
        self.good("encrypt", s.c("m.client.velum"), "--secret", s.c("s.key"), "--input", one, "-o", self.path("q.ct"))
        for threads in (1, 2):
            j = self.object("infer", s.s("m.velum"), "--eval", s.s("e.keys"), "--input", self.path("q.ct"), "-o",
                            self.path("a.ct"), "--threads", threads)
            self.assertEqual((j["threads"], j["requests"]), (threads, 1))
            rows = self.object("decrypt", s.c("m.client.velum"), "--secret", s.c("s.key"), "--input", self.path("a.ct"))
            self.near(rows["rows"], EXPECTED[3:4])

    def test_share(self):
        s = sides()
        p = run("decrypt", s.c("m.client.velum"), "--secret", s.c("s.key"), "--input", s.c("a.ct"), "--share", 20)
        self.assertIn(p.returncode, (0, 4), p.stderr)
        self.bad(2, "decrypt", s.c("m.client.velum"), "--secret", s.c("s.key"), "--input", s.c("a.ct"), "--share", 999)

    def test_explain(self):
        s = sides()
        text = self.good("explain", s.s("m.velum")).stdout
        for words in ("security", "thalach", "level"):
            self.assertIn(words, text)
        j = self.object("explain", s.s("m.velum"))
        self.assertEqual(j["text"], text)
        self.assertGreaterEqual(j["security_bits"], 128)

    def test_compile(self):
        program = self.path("named")
        j = self.object("compile", "--target=latency", command.MODEL, "--memory", "2G", "--calibration", PATIENTS, "-o" + program)
        self.assertEqual(j["client"], program + ".client.velum")
        self.assertEqual(sorted(os.listdir(self.dir)), ["named", "named.client.velum"])
        self.bad(2, "compile", command.MODEL, "-o", program, "--target", "speed", says="--target")
        self.bad(2, "compile", command.MODEL, "-o", program, "--security", "100", says="--security")
        self.bad(2, "compile", command.MODEL, "-o", program, "--memory", "many", says="--memory")


class Demo(Case):
    KEYS = ("model requests latency_s_median amortised_s max_abs_error precision_bits metric_name metric_clear "
            "metric_encrypted labels_equal metric_rows threads peak_rss_bytes log_n log_qp security_bits eval_key_bytes "
            "query_bytes answer_bytes stages predicted_s error_bound").split()

    def check(self, j):
        for name in self.KEYS:
            self.assertIn(name, j)
        self.assertLessEqual(j["max_abs_error"], ERROR)
        for mode in (j, j["throughput"]):
            self.assertGreater(mode["predicted_s"], 1e-4)
            self.assertGreater(mode["error_bound"], j["max_abs_error"])
        self.assertGreaterEqual(j["precision_bits"], 10)
        self.assertGreaterEqual(j["security_bits"], 128)
        self.assertGreaterEqual(j["labels_equal"], 0.995)
        names = [s["name"] for s in j["stages"]]
        for name in ("keygen", "encrypt", "infer", "decrypt"):
            self.assertIn(name, names)
        self.assertTrue(any(name.startswith("infer: ") for name in names))
        self.assertEqual(os.listdir(self.dir), [])

    def test_heart(self):
        how = {"env": {"TMPDIR": self.dir, "VELUM_DATA": "", "VELUM_MODELS": os.path.dirname(HEART)}}
        j = self.object("demo", "heart", **how)
        self.check(j)
        self.assertEqual((j["requests"], j["metric_rows"], j["metric_clear"]), (len(ROWS), 0, None))
        text = self.good("demo", "heart", "--keep", self.path("kept"), **how).stdout
        self.assertIn("patient", text)
        self.assertEqual(sorted(os.listdir(self.path("kept"))), ["check", "client", "server"])

    def test_metric(self):
        data = os.environ.get("VELUM_DATA", "")
        if not os.path.exists(os.path.join(data, "heart/processed.cleveland.data")):
            self.skipTest("VELUM_DATA names no folder with heart/processed.cleveland.data")
        j = self.object("demo", "heart", "--data", data, env={"TMPDIR": self.dir})
        self.check(j)
        self.assertEqual((j["metric_name"], j["metric_rows"]), ("auc", 297))
        self.assertAlmostEqual(j["metric_clear"], j["metric_encrypted"], delta=5e-4)
        self.assertAlmostEqual(j["metric_clear"], 0.9366, delta=2e-3)

    def test_elsewhere(self):
        self.bad(3, "demo", "heart", "--models", self.dir, says=[self.dir, "dlrm_heart.onnx"])
        self.bad(2, "demo", "nothing", says="nothing")
        self.assertIn("heart", [d["name"] for d in self.object("demo")["demos"]])


if __name__ == "__main__":
    command.main()
