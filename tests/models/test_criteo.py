# SPDX-License-Identifier: Apache-2.0
"""The Criteo models in the tree: digit widths, the row converter, and the graphs' answers for the invented requests.

The graphs' part needs NumPy and onnx; it looks for them in this interpreter, then in the system's."""
import csv
import json
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import onnx
except ImportError:
    system = "/usr/bin/python3"
    if os.path.exists(system) and os.path.realpath(sys.executable) != os.path.realpath(system):
        os.execv(system, [system, "-B", *sys.argv])
    onnx = None

SOURCE = os.environ.get("VELUM_SOURCE_DIR", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
CRITEO = os.path.join(SOURCE, "models/criteo")
sys.path.insert(0, CRITEO)
sys.dont_write_bytecode = True
from digits import FULL_ROWS, sizes, width
from rows import CATEGORICAL, COLUMNS, DENSE, parse

MODELS = {"relu": 0, "poly": 6, "dot": 6}  # squares as activations
LINE = "\t".join(["1", "3", "-2", *[""] * 11, "68fd1e64", "ffffffff", *[""] * 24])


def table(name):
    with open(os.path.join(CRITEO, name), newline="") as f:
        return list(csv.reader(f))


def book():
    with open(os.path.join(CRITEO, "record.json")) as f:
        return json.load(f)


class Digits(unittest.TestCase):
    def test_full_tables(self):
        self.assertEqual(len(FULL_ROWS), 26)
        self.assertEqual(sum(FULL_ROWS), 33762577)
        for threshold in (305, 500, 582):
            self.assertEqual(width(FULL_ROWS, 4, threshold), 1083)
        self.assertEqual(width(FULL_ROWS, 4, 304), 1083 - 305 + 20)
        self.assertEqual(width(FULL_ROWS, 4, 583), 1083 - 20 + 583)

    def test_every_row_is_reached(self):
        for rows in (1, 2, 3, 4, 5, 15, 16, 17, 64, 65, 500, 501):
            for base in (2, 3, 4, 10):
                parts = sizes(rows, base, 1)
                reach = 1
                for p in parts:
                    reach *= p
                self.assertGreaterEqual(reach, rows)
                self.assertLess(reach, max(rows * base, 2))
        self.assertEqual(sizes(500), [500])
        self.assertEqual(sizes(501), [4] * 5)
        self.assertEqual(sizes(9, base=0), [9])


class Rows(unittest.TestCase):
    def convert(self, text, *options):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "in.tsv")
            with open(path, "w", newline="") as f:
                f.write(text)
            labels = os.path.join(folder, "labels.csv")
            done = subprocess.run([sys.executable, "-B", os.path.join(CRITEO, "tsv.py"), path, "--labels", labels, *options],
                                  capture_output=True, text=True)
            if done.returncode:
                return done, None
            with open(labels) as f:
                return done, f.read()

    def test_a_row(self):
        label, row = parse(LINE)
        self.assertEqual((label, row), (1, [3, -2, *[0] * 11, 0x68fd1e64, 0xffffffff, *[0] * 24]))
        self.assertEqual(parse(LINE[2:])[0], None)
        for bad in ("", LINE + "\t", "2" + LINE[1:], LINE.replace("ffffffff", "1ffffffff"), LINE.replace("3", "3.5", 1)):
            self.assertRaises(ValueError, parse, bad)

    def test_the_converter(self):
        done, labels = self.convert((LINE + "\n") * 3 + LINE.replace("68fd1e64", "7") + "\n", "--first", "2", "--rows", "2")
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0].split(","), COLUMNS)
        self.assertEqual([r.split(",")[13] for r in lines[1:]], [str(0x68fd1e64), "7"])
        self.assertEqual(labels, "label\n1\n1\n")
        done, _ = self.convert(LINE + "\nno row\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("line 2: 1 fields", done.stderr)


@unittest.skipUnless(onnx, "needs NumPy")
class Vocabularies(unittest.TestCase):
    # 0 is missing, 9 is rare; 5 is clicked always, 6 half the time, 7 never.
    hashes = [0] * 8 + [5] * 8 + [6] * 8 + [7] * 12 + [9]
    labels = [1] * 8 + [1] * 8 + [0, 1] * 4 + [0] * 12 + [1]

    def make(self, order="rate", folds=0, digits=True):
        from data import vocabulary
        return vocabulary(np.array(self.hashes), np.array(self.labels, float), 2, order, 1.0, folds, 1, lambda k: digits)

    def test_numbering(self):
        for order, rows in (("rate", {7: 1, 6: 2, 5: 3}), ("count", {7: 1, 5: 2, 6: 3})):
            v, index = self.make(order)
            self.assertEqual(v.size, 4)
            self.assertEqual(v(np.array([0, 9, 10, 7, 6, 5])).tolist(), [0, 0, 0, rows[7], rows[6], rows[5]])
            self.assertTrue((index == v(np.array(self.hashes))).all())

    def test_folds_hide_a_row_from_itself(self):
        self.hashes, self.labels = [5, 5, 6, 6, 6, 6], [1, 0, 1, 0, 0, 0]
        v, index = self.make(folds=6)
        self.assertEqual(v(np.array([6, 5])).tolist(), [1, 2])
        self.assertEqual(index.tolist(), [1, 2, 1, 2, 2, 2])
        self.assertEqual(self.make(folds=6, digits=False)[1].tolist(), [2, 2, 1, 1, 1, 1])

    def test_invented(self):
        from data import Vocabulary, invented
        rng = np.random.RandomState(3)
        counts, hashes = rng.randint(0, 2000, (50, 13)).astype(float), rng.randint(0, 9, (50, 26))
        v = Vocabulary(np.array([5, 6, 7]), np.array([1, 2, 3]))
        rows = invented(counts, hashes, [v] * 26, 400, 1, alike=100)
        self.assertTrue(np.isin(rows[:, :13], np.r_[np.arange(100), np.arange(100, 2001, 10)]).all())
        known = np.isin(rows[:, 13:], [0, 5, 6, 7])
        self.assertTrue(0.3 < known.mean() < 0.6)
        self.assertTrue((rows[:, 13:][~known] > 9).mean() > 0.99)


class Shipped(unittest.TestCase):
    def test_invented_rows(self):
        for name, count in (("requests.csv", 64), ("calibration.csv", 512)):
            head, *rows = table(name)
            self.assertEqual(head, COLUMNS)
            self.assertEqual(len(rows), count)
            self.assertTrue(all(0 <= int(v) < 1 << 32 for r in rows for v in r[13:]))

    def test_record(self):
        for name in MODELS:
            entry = book()[name]
            rows = entry["rows_of_tables"]
            self.assertEqual(entry["one_hot_width"], width(rows, entry["model"]["base"], entry["model"]["threshold"]))
            self.assertEqual(entry["vocabulary_entries"], sum(rows) - 26)
            self.assertLess(entry["vocabulary_entries"], 60000)
            self.assertGreater(entry["scores"]["test"]["auc"], 0.70)
        self.assertLess(abs(book()["poly"]["scores"]["test"]["auc"] - book()["relu"]["scores"]["test"]["auc"]), 0.01)

    @unittest.skipUnless(onnx, "needs NumPy and onnx")
    def test_graphs(self):
        from evaluate import answers, read_csv
        rows = read_csv(os.path.join(CRITEO, "requests.csv"))
        for name, squares in MODELS.items():
            with self.subTest(name):
                model = onnx.load(os.path.join(CRITEO, f"dlrm_criteo_{name}.onnx"))
                onnx.checker.check_model(model)
                want = np.array([float(r[0]) for r in table(f"expected_{name}.csv")[1:]])
                self.assertEqual(want.shape, (64,))
                self.assertLess(np.abs(answers(model, rows) - want).max(), 1e-8)
                self.inputs(model)
                kinds = [n.op_type for n in model.graph.node]
                self.assertEqual(kinds.count("LabelEncoder"), 26)
                self.assertEqual(kinds.count("Relu"), 1 + 6 - squares)
                self.assertEqual(kinds.count("Gather"), book()[name]["lookups"] + (2 if name == "dot" else 0))

    def inputs(self, model):
        kind = {i.name: (i.type.tensor_type.elem_type, len(i.type.tensor_type.shape.dim),
                         i.type.tensor_type.shape.dim[1].dim_value) for i in model.graph.input}
        self.assertEqual(list(kind), COLUMNS)
        self.assertTrue(all(kind[n] == (onnx.TensorProto.FLOAT, 2, 1) for n in DENSE))
        self.assertTrue(all(kind[n] == (onnx.TensorProto.INT64, 2, 1) for n in CATEGORICAL))
        meta = {p.key: p.value for p in model.metadata_props}
        self.assertTrue(all(meta[f"velum.range:{n}"] == "0 4294967295" for n in CATEGORICAL))
        self.assertTrue(all(f"velum.description:{n}" in meta for n in COLUMNS))


if __name__ == "__main__":
    unittest.main()
