# SPDX-License-Identifier: Apache-2.0
"""models/resnet: the reader, the parabolas, resuming, the drawn pictures, and the network in the tree.

Needs NumPy and onnx, some of it torch; it looks for them in this interpreter, then in the system's."""
import contextlib
import csv
import importlib.util
import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import numpy as np
    import onnx
except ImportError:
    system = "/usr/bin/python3"
    if os.path.exists(system) and os.path.realpath(sys.executable) != os.path.realpath(system):
        os.execv(system, [system, "-B", *sys.argv])
    onnx = None
try:
    import torch
except ImportError:
    torch = None

SOURCE = Path(os.environ.get("VELUM_SOURCE_DIR", Path(__file__).resolve().parents[2]))
VELUM = os.path.abspath(os.environ.get("VELUM", SOURCE / "build/release/velum"))
RESNET = SOURCE / "models/resnet"
ACTIVATIONS = 19
sys.path.insert(0, str(RESNET))
sys.dont_write_bytecode = True


def invented_records(n, seed=1):
    rng = np.random.RandomState(seed)
    records = rng.randint(0, 256, (n, 3073)).astype(np.uint8)
    records[:, 0] %= 10
    return records


@unittest.skipUnless(onnx, "needs NumPy and onnx")
class Reader(unittest.TestCase):
    def read(self, name, data, folder):
        import cifar
        (folder / name).write_bytes(data)
        return cifar.batch_records(folder, 1)

    def test_formats(self):
        want = invented_records(7)
        batch = {b"labels": want[:, 0].tolist(), b"data": want[:, 1:]}
        with tempfile.TemporaryDirectory() as tmp:
            for name, data in (("data_batch_1", pickle.dumps(batch, 2)), ("data_batch_1.bin", want.tobytes())):
                self.assertTrue((self.read(name, data, Path(tmp)) == want).all())

    def test_packed(self):
        codec = Path(os.environ.get("VELUM_DATA", "/nowhere"), "cifar_codec.py")
        if not codec.exists():
            self.skipTest("needs cifar_codec.py in $VELUM_DATA")
        spec = importlib.util.spec_from_file_location("codec", codec)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        want = invented_records(3)
        with tempfile.TemporaryDirectory() as tmp:
            folder = Path(tmp, "cifar10")
            folder.mkdir()
            Path(tmp, "cifar_codec.py").write_bytes(codec.read_bytes())
            Path(tmp, "one.bin").write_bytes(want.tobytes())
            module.pack(str(Path(tmp, "one.bin")), 1, str(folder / "data_batch_1.cpk"))
            import cifar
            self.assertTrue((cifar.batch_records(folder, 1) == want).all())

    def test_the_demo_reads_the_same(self):
        sys.path.insert(0, str(SOURCE / "tests/cli"))
        from small_net import make_models
        from test_pictures import NAMES, packed
        import cifar
        want = invented_records(4)
        batches = {".bin": want.tobytes(), ".cpk": packed([r.tobytes() for r in want])}
        codec = Path(os.environ.get("VELUM_DATA", "/nowhere"), "cifar_codec.py")
        for suffix, data in batches.items():
            with self.subTest(suffix), tempfile.TemporaryDirectory() as tmp:
                models = make_models(os.path.join(tmp, "models"))
                folder, kept = Path(tmp, "data/cifar10"), Path(tmp, "kept")
                folder.mkdir(parents=True)
                (folder / f"data_batch_5{suffix}").write_bytes(data)
                said = subprocess.run([VELUM, "demo", "cifar10", "--models", models, "--data", str(folder.parent), "--keep",
                                       str(kept)], capture_output=True, text=True, check=True).stdout
                read = want
                if codec.exists():
                    (folder.parent / codec.name).write_bytes(codec.read_bytes())
                if suffix == ".bin" or codec.exists():
                    read = cifar.batch_records(folder, 5)
                self.assertTrue((read == want).all())
                self.assertTrue((np.load(kept / "client/pictures.npy") == read[:, 1:]).all())
                rows = [line.split() for line in said.splitlines()]
                self.assertEqual([r[1] for r in rows if len(r) > 3 and r[0].isdigit()], [NAMES[k] for k in read[:, 0]])

    def test_refusals(self):
        import cifar
        with tempfile.TemporaryDirectory() as tmp:
            folder = Path(tmp)
            self.assertRaises(SystemExit, cifar.batch_records, folder, 1)
            good = invented_records(2)
            bad = good.copy()
            bad[1, 0] = 10
            for data in (b"", good.tobytes()[:-1], bad.tobytes()):
                self.assertRaises(SystemExit, self.read, "data_batch_1.bin", data, folder)
            (folder / "data_batch_1.bin").unlink()
            with self.assertRaises(pickle.UnpicklingError):
                self.read("data_batch_1", pickle.dumps({b"labels": [1], b"data": os.getcwd}, 2), folder)


@unittest.skipUnless(torch and onnx, "needs torch")
class Training(unittest.TestCase):
    def test_quadratic(self):
        from model import CUT, REACH, Quadratic
        torch.manual_seed(1)
        q = torch.tensor([0.3, 0.7, 0.1], dtype=torch.double)
        x = torch.randn(1, 3, 4, 4, dtype=torch.double, requires_grad=True)
        y, beyond = Quadratic.apply(x, q, q + 1, q - 1, q)
        a, b, c = (v[:, None, None] for v in (q, q + 1, q - 1))
        held = torch.maximum(torch.minimum(x, CUT * a), -CUT * a)
        self.assertLess((y - (a * held * held + b * held + c)).abs().max().item(), 1e-12)
        over = torch.relu(x.abs() / (REACH * a) - 1)
        self.assertGreater(over.max().item(), CUT / REACH)
        self.assertLess(abs(beyond.item() - over.square().sum().item()), 1e-9)
        self.assertTrue(torch.autograd.gradcheck(lambda v: Quadratic.apply(v, q, q + 1, q - 1, q), (x,)))

    def test_augment(self):
        from train import augment
        torch.manual_seed(2)
        x = torch.arange(3 * 32 * 32).reshape(1, 3, 32, 32).remainder(251).to(torch.uint8).repeat(64, 1, 1, 1)
        y = augment(x)
        padded = torch.nn.functional.pad(x[0].float(), (4, 4, 4, 4), value=120)
        views = [v[:, i:i + 32, j:j + 32] for v in (padded, padded.flip(2)) for i in range(9) for j in range(9)]
        found = {next(k for k, v in enumerate(views) if torch.equal(v, one)) for one in y}
        self.assertGreater(len(found), 40)

    def test_resuming_changes_nothing(self):
        import train
        torch.set_num_threads(1)
        rng = np.random.RandomState(3)
        x = torch.tensor(rng.randint(0, 256, (32, 3, 32, 32)).astype(np.uint8))
        y = torch.tensor(np.arange(32) % 10)
        teacher = train.ResNet("resnet20", "relu").eval().requires_grad_(False)
        weights = []
        for stopped in (False, True):
            with tempfile.TemporaryDirectory() as tmp:
                args = ["poly", "n", "--teacher", "t.pt", "--epochs", "3", "--batch", "16", "--follow", "1", "--frozen", "1",
                        "--float", "1", "--work", tmp, "--device", "cpu"]
                for last in (2, 3) if stopped else (3,):
                    opt = train.options(args)
                    torch.manual_seed(4)
                    net = train.ResNet("resnet20", "poly")
                    run, train.epoch_of = train.epoch_of, self.until(train.epoch_of, last)
                    try:
                        with contextlib.redirect_stdout(io.StringIO()):
                            train.fit(net, teacher, x, y, opt)
                    except InterruptedError:
                        self.assertFalse(Path(tmp, "n.pt").exists())
                    finally:
                        train.epoch_of = run
                weights.append(train.restore(Path(tmp, "n.pt"))[0].state_dict())
                other = train.options(args + ["--seed", "9"])
                self.assertRaises(SystemExit, train.fit, net, teacher, x, y, other)
        for k, v in weights[0].items():
            self.assertTrue(torch.equal(v, weights[1][k]), k)

    @staticmethod
    def until(run, last):
        def limited(*args):
            if args[-1] == last:
                raise InterruptedError
            return run(*args)
        return limited

    def test_random_networks(self):
        from export import model_of, random_net
        from graph import evaluate
        from pictures.draw import scenes
        first, second = (random_net("resnet34-thin", 100, 5) for _ in range(2))
        for k, v in first.state_dict().items():
            self.assertTrue(torch.equal(v, second.state_dict()[k]), k)
        model = model_of(first, "thin")
        self.assertEqual([n.op_type for n in model.graph.node].count("Conv"), 33 + 3)
        pictures = scenes(8, 77)[0]
        want = first.double()(torch.tensor(pictures, dtype=torch.double)).detach().numpy()
        self.assertEqual(want.shape, (8, 100))
        self.assertLess(np.abs(want).max(), 40)
        self.assertLess(np.abs(evaluate(model, pictures) - want).max(), 1e-4)


@unittest.skipUnless(onnx, "needs NumPy and onnx")
class Shipped(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = onnx.load(str(RESNET / "resnet20.onnx"))
        cls.entry = json.loads((RESNET / "record.json").read_text())["resnet20"]
        cls.pictures = np.load(RESNET / "pictures/pictures.npy")

    def test_pictures(self):
        from pictures.draw import KINDS, scenes
        pictures, labels = scenes()
        self.assertTrue((pictures.reshape(32, -1) == self.pictures).all())
        with open(RESNET / "pictures/labels.csv", newline="") as f:
            rows = list(csv.reader(f))
        self.assertEqual(rows, [["label", "name"], *([str(k), KINDS[k].__name__] for k in labels)])

    def test_record(self):
        test, inputs = self.entry["scores"]["test"], self.entry["inputs"]
        self.assertEqual(test["pictures"], 5000)
        self.assertGreaterEqual(test["accuracy"], 0.90)
        for part in ("train", "test", "drawn"):
            self.assertEqual(len(inputs[part]), ACTIVATIONS)
            for name, seen in inputs[part].items():
                self.assertLess(seen["used"], 0.95, f"{part} {name}")

    def test_graph(self):
        from graph import evaluate
        onnx.checker.check_model(self.model)
        image, = self.model.graph.input
        shape = [d.dim_param or d.dim_value for d in image.type.tensor_type.shape.dim]
        self.assertEqual((image.name, shape), ("image", ["batch", 3, 32, 32]))
        self.assertEqual([o.name for o in self.model.graph.output], ["logits"])
        kinds = [n.op_type for n in self.model.graph.node]
        self.assertEqual((kinds.count("Conv"), kinds.count("Relu"), kinds.count("Mul")), (21, 0, 1 + 2 * ACTIVATIONS))
        with open(RESNET / "resnet20_expected.csv", newline="") as f:
            want = np.array([[float(v) for v in r] for r in list(csv.reader(f))[1:]])
        got = evaluate(self.model, self.pictures.reshape(-1, 3, 32, 32))
        self.assertEqual(want.shape, (32, 10))
        self.assertLess(np.abs(got - want).max(), 1e-4)

    def test_calibration_covers_the_recorded_pictures(self):
        from calibrate import coverage, recorded
        rows = np.load(RESNET / "resnet20_calibration.npy")
        self.assertTrue(((rows >= 0) & (rows <= 255)).all())
        cover = coverage(self.model, rows.reshape(-1, 3, 32, 32), recorded(self.entry))
        self.assertEqual(len(cover), ACTIVATIONS)
        self.assertGreater(min(cover.values()), 1.15)
        self.assertLessEqual(max(cover.values()), 2)

    def test_the_compiler_sees_parabolas(self):
        env = {**os.environ, "VELUM_PRICES": "builtin"}

        def velum(*args):
            return subprocess.run([VELUM, *args], capture_output=True, text=True, env=env, check=True).stdout

        with tempfile.TemporaryDirectory() as tmp:
            three, program = os.path.join(tmp, "three.npy"), os.path.join(tmp, "r.velum")
            np.save(three, self.pictures[:3])
            velum("compile", str(RESNET / "resnet20.onnx"), "--calibration", str(RESNET / "resnet20_calibration.npy"), "-o", program)
            said = velum("explain", program)
            self.assertEqual(sum(" square " in line for line in said.splitlines()), ACTIVATIONS)
            self.assertNotIn("kept apart", said)
            got, want = (list(csv.reader(velum("simulate", path, "--input", three).splitlines()))[1:]
                         for path in (program, str(RESNET / "resnet20.onnx")))
            self.assertEqual(len(got), 3)
            self.assertLess(np.abs(np.array(got, float) - np.array(want, float)).max(), 1e-6)


if __name__ == "__main__":
    unittest.main()
