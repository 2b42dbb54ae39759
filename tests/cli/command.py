# SPDX-License-Identifier: Apache-2.0
"""What the command's tests share: running it, its files, and a client and a server that have met."""
import atexit
import csv
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

SOURCE = os.environ.get("VELUM_SOURCE_DIR", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
VELUM = os.path.abspath(os.environ.get("VELUM", os.path.join(SOURCE, "build/release/velum")))
HEART = os.path.join(SOURCE, "models/heart")
MODEL = os.path.join(HEART, "dlrm_heart.onnx")
PATIENTS = os.path.join(HEART, "patients.csv")
ERROR = 2.0 ** -10
os.environ["VELUM_PRICES"] = "builtin"  # measured ones would be left in the home folder

with open(PATIENTS, newline="") as f:
    TABLE = list(csv.reader(f))
COLUMNS, ROWS = TABLE[0], TABLE[1:]
with open(os.path.join(HEART, "expected.csv"), newline="") as f:
    EXPECTED = [float(r[0]) for r in list(csv.reader(f))[1:]]


def run(*args, cwd=None, env=None, umask=-1, timeout=280):
    return subprocess.run([VELUM, *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})}, umask=umask, errors="replace")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def csv_text(rows=ROWS, columns=COLUMNS, end="\n"):
    return "".join(",".join(r) + end for r in [columns, *rows])


def npy(rows, kind="d", order="False", shape=None, version=1, cut=0):
    """An NPY file of float64 (d), float32 (f), int64 (q), int32 (i) or uint8 (B)."""
    descr = {"d": "<f8", "f": "<f4", "q": "<i8", "i": "<i4", "B": "|u1"}.get(kind, kind)
    shape = shape or (len(rows), len(rows[0]))
    head = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)
    head += " " * (-(11 + len(head)) % 64) + "\n"
    flat = [float(v) for r in rows for v in r]
    code = kind if kind in "dfqiB" else "d"
    body = struct.pack("<%d%s" % (len(flat), code), *[int(v) if code in "qiB" else v for v in flat])
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(head)) + head.encode() + body[:len(body) - cut]


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def without_metadata(onnx):
    """A model without its metadata, so without bounds on its inputs: a ModelProto without field 14."""
    kept, at = b"", 0
    while at < len(onnx):
        start = at
        key, at = varint(onnx, at)
        size, at = varint(onnx, at)
        at += size if key & 7 == 2 else 0  # else a number, and it is read
        kept += onnx[start:at] if key >> 3 != 14 else b""
    return kept


def sealed(frame):
    """A Velum file whose digest fits its content."""
    return frame[:-32] + hashlib.blake2b(frame[:-32], digest_size=32).digest()


def npz(path, arrays):
    """An archive of (name, the bytes of an NPY file)."""
    with zipfile.ZipFile(path, "w") as z:
        for name, data in arrays:
            z.writestr(name + ".npy", data)
    return path


def guide(name):
    with open(os.path.join(SOURCE, "docs/guide", name), encoding="utf-8") as f:
        return f.read()


PROGRAMS = ("velum", "cd", "mv", "examples/own_model.py", "models/criteo/tsv.py")


def guide_commands(name, leave_out=()):
    """The shell lines of a page's blocks, without what they print: those that begin with a program that it uses."""
    lines = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", guide(name), re.M | re.S):
        if language:
            continue
        lines += [line for line in block.replace("\\\n", " ").splitlines() if line.split(" ")[0] in PROGRAMS]
    return [line for line in lines if not line.startswith(tuple(leave_out))]


def run_guide(folder, lines, path=(), timeout=280):
    """Runs them one after another in a folder, where `velum` and what `path` has are found; what they print, by line."""
    mark = "---- next ----"
    script = "set -e\n" + "".join(f"{line}\necho '{mark}'\n" for line in lines)
    os.symlink(VELUM, os.path.join(folder, "velum"))
    found = os.pathsep.join([folder, *path, os.environ["PATH"]])
    p = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, timeout=timeout,
                       env={**os.environ, "PATH": found})
    if p.returncode != 0:
        raise AssertionError(f"{lines[p.stdout.count(mark)]}: {p.stderr}")
    return dict(zip(lines, p.stdout.split(mark + "\n")))


class Sides:
    """A client's and a server's folder after one whole round for one target."""

    def __init__(self, target):
        self.target, self.root = target, tempfile.mkdtemp(prefix="velum-test-")
        atexit.register(shutil.rmtree, self.root, ignore_errors=True)
        self.client, self.server = os.path.join(self.root, "client"), os.path.join(self.root, "server")
        os.makedirs(self.client), os.makedirs(self.server)
        self.json = {}
        more = ["--batch", len(ROWS)] if target == "throughput" else []
        self.step("compile", self.server, MODEL, "-o", "m.velum", "--target", target, *more)
        self.send("m.client.velum", self.server, self.client)
        self.step("keygen", self.client, "m.client.velum", "--secret", "s.key", "--eval", "e.keys")
        self.send("e.keys", self.client, self.server)
        shutil.copy(PATIENTS, os.path.join(self.client, "x.csv"))
        self.step("encrypt", self.client, "m.client.velum", "--secret", "s.key", "--input", "x.csv", "-o", "q.ct")
        self.send("q.ct", self.client, self.server)
        self.step("infer", self.server, "m.velum", "--eval", "e.keys", "--input", "q.ct", "-o", "a.ct")
        self.send("a.ct", self.server, self.client)
        self.step("decrypt", self.client, "m.client.velum", "--secret", "s.key", "--input", "a.ct")
        self.step("simulate", self.server, "m.velum", "--input", os.path.join(self.client, "x.csv"))

    def step(self, command, folder, *args):
        p = run(command, *args, "--json", cwd=folder)
        if p.returncode != 0:
            raise AssertionError(f"velum {command}: exit {p.returncode}: {p.stderr}")
        self.json[command] = json.loads(p.stdout)

    @staticmethod
    def send(name, source, target):
        shutil.move(os.path.join(source, name), target)

    def c(self, name):
        return os.path.join(self.client, name)

    def s(self, name):
        return os.path.join(self.server, name)


_sides = {}


def sides(target="latency"):
    """Made once for each target."""
    if target not in _sides:
        _sides[target] = Sides(target)
    return _sides[target]


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="velum-case-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def path(self, name, data=None):
        path = os.path.join(self.dir, name)
        if data is not None:
            write(path, data)
        return path

    def good(self, *args, **how):
        p = run(*args, **how)
        self.assertEqual(p.returncode, 0, f"velum {args}: {p.stderr}")
        return p

    def object(self, *args, **how):
        """Exactly one JSON object on stdout."""
        out = self.good(*args, "--json", **how).stdout
        value = json.loads(out)
        self.assertIsInstance(value, dict)
        self.assertEqual(out.count("\n"), 1)
        return value

    def bad(self, code, *args, says=(), absent=None, **how):
        """The exit code, one line on stderr that says all of `says`, nothing on stdout, and no trace in the folder."""
        before = sorted(os.listdir(self.dir))
        p = run(*args, **how)
        what = f"velum {args}: exit {p.returncode}: {p.stderr!r}"
        self.assertEqual(p.returncode, code, what)
        lines = [line for line in p.stderr.splitlines() if not line.startswith("velum: note: ")]
        self.assertEqual(len(lines), 1, what)
        self.assertTrue(lines[0].startswith("velum: "), what)
        for words in [says] if isinstance(says, str) else says:
            self.assertIn(words, lines[0])
        self.assertEqual(p.stdout, "", what)
        self.assertEqual(sorted(os.listdir(self.dir)), before, what)
        if absent:
            self.assertFalse(os.path.exists(absent), what)
        return lines[0]


def main():
    if not os.access(VELUM, os.X_OK):
        sys.exit(f"{VELUM} is not there: build first")
    unittest.main(verbosity=1)
