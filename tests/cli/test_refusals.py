#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What bad input gets: an error that names it, its exit code, and nothing half-written."""
import os
import random
import shutil
import signal
import stat
import subprocess
import time
import zipfile

import command
from command import COLUMNS, MODEL, PATIENTS, ROWS, VELUM, Case, csv_text, npy, read, sides, write


def changed(column, value, row=2):
    rows = [list(r) for r in ROWS]
    rows[row][COLUMNS.index(column)] = value
    return csv_text(rows)


class Tables(Case):
    def refuse(self, data, *says, code=3, name="t.csv"):
        s, out = sides(), self.path("out.ct")
        path = self.path(name, data)
        line = self.bad(code, "encrypt", s.c("m.client.velum"), "--secret", s.c("s.key"), "--input", path, "-o", out,
                        says=[name, *says], absent=out)
        self.assertLess(len(line), 500)

    def test_fields(self):
        self.refuse(changed("thal", ""), "row 3", "line 4", "thal", "empty")
        self.refuse(changed("ca", "?"), "row 3", "line 4", "ca", "?")
        self.refuse(changed("chol", "high"), "row 3", "chol", "high")
        for text in ("nan", "inf", "-infinity", "0x10", "1e999", "1 2", "1\x07"):
            self.refuse(changed("age", text), "row 3", "age")
        self.refuse(changed("age", "9" * 60), "row 3", "age")
        self.refuse(changed("age", "200"), "row 3", "age", "200")
        self.refuse(changed("age", "-5"), "row 3", "age", "-5")
        self.refuse(changed("thal", "4"), "row 3", "thal", "4")
        self.refuse(changed("sex", "0.5"), "row 3", "sex", "0.5")

    def test_shape(self):
        self.refuse(csv_text([r[:-1] for r in ROWS], COLUMNS[:-1]), "thal", "missing")
        self.refuse(csv_text([r + ["1"] for r in ROWS], COLUMNS + ["age"]), "age", "twice")
        self.refuse(csv_text([ROWS[0], ROWS[1][:-1]]), "row 2", "line 3", "thal")
        self.refuse(csv_text([ROWS[0], ROWS[1] + ["1"]]), "row 2", "more than 13")
        self.refuse(csv_text([ROWS[0], [""], ROWS[1]]), "line 3", "blank")
        self.refuse("".join(",".join(r) + "\n" for r in ROWS), "line 1", "first line")
        self.refuse("1,2,3\n4,5,6\n", "age", "missing", "first line")
        self.refuse("", "empty")
        self.refuse("\n\n", "empty")
        self.refuse(csv_text([]), "no rows")
        self.refuse(csv_text() + '"', "quote")
        self.refuse(csv_text().replace("31", '"31"x', 1), "after a closing quote")
        self.refuse(csv_text() + "1" * 5000, "4096")
        self.refuse(csv_text().encode() + b"\0", "zero byte")
        self.refuse(csv_text().replace("31", '"31"\0', 1), "after a closing quote")
        self.refuse(bytes(range(256)) * 40)
        self.refuse(",".join("c%d" % i for i in range(70000)), "65536")

    def test_arrays(self):
        values = [[float(v) for v in r] for r in ROWS]
        good = npy(values)
        self.refuse(npy([r[:-1] for r in values]), "12 columns", "13", name="t.npy")
        self.refuse(good[:-1], "bytes of numbers", name="t.npy")
        self.refuse(good + b"\0", "bytes of numbers", name="t.npy")
        self.refuse(npy(values, order="True"), "Fortran", name="t.npy")
        self.refuse(npy(values, "<c16"), "type", name="t.npy")
        self.refuse(npy(values, "|O"), "type", name="t.npy")
        self.refuse(npy(values, shape="(2, 3, 26)"), "78 columns", "13", name="t.npy")
        self.refuse(npy(values, shape="(12, 65536, 65536, 65536)"), "columns", name="t.npy", code=4)
        self.refuse(npy(values, shape="(12, 0, 13)"), "bytes of numbers", name="t.npy")
        self.refuse(npy(values, shape="(99999999999, 13)"), "rows", name="t.npy", code=4)
        self.refuse(npy(values, version=9), "version", name="t.npy")
        self.refuse(good.replace(b"'shape'", b"'shopa'"), "header", name="t.npy")
        self.refuse(good[:70], name="t.npy")
        values[4][0] = float("nan")
        self.refuse(npy(values), "row 5", "age", name="t.npy")
        values[4][0] = 300.0
        self.refuse(npy(values), "row 5", "age", "300", name="t.npy")

    def archive(self, names=COLUMNS, method=zipfile.ZIP_STORED):
        path = self.path("t.npz")
        with zipfile.ZipFile(path, "w", method) as z:
            for name in names:
                z.writestr(name + ".npy", npy([[float(r[COLUMNS.index(name)])] for r in ROWS]))
        return read(path)

    def test_archives(self):
        good = self.archive()
        self.refuse(self.archive(COLUMNS[1:]), "age", "missing", name="t.npz")
        self.refuse(self.archive(method=zipfile.ZIP_DEFLATED), "compressed", name="t.npz")
        self.refuse(good[:-30], name="t.npz")
        self.refuse(good[:200] + b"\x55" + good[201:], name="t.npz")
        for i in range(0, len(good), 97):  # never a crash, whatever is hit
            path = self.path("hit.npz", good[:i] + bytes([good[i] ^ 0x41]) + good[i + 1:])
            p = command.run("simulate", sides().s("m.velum"), "--input", path)
            self.assertIn(p.returncode, (0, 3, 4), p.stderr)


class Files(Case):
    KINDS = {"program": "m.velum", "client": "m.client.velum", "secret": "s.key", "eval": "e.keys", "query": "q.ct",
             "answer": "a.ct"}

    def files(self):
        s = sides()
        return {k: (s.s if k in ("program", "eval", "query") else s.c)(n) for k, n in self.KINDS.items()}

    def use(self, kind, path, *says, code=3, **others):
        """Runs the command that reads a file of that kind, with `path` in its place."""
        f, out = {**self.files(), **others, kind: path}, self.path("out")
        if kind in ("program", "eval", "query"):
            args = ["infer", f["program"], "--eval", f["eval"], "--input", f["query"]]
        elif kind == "answer":
            args = ["decrypt", f["client"], "--secret", f["secret"], "--input", f["answer"]]
        else:
            args = ["encrypt", f["client"], "--secret", f["secret"], "--input", PATIENTS]
        self.bad(code, *args, "-o", out, says=[os.path.basename(path), *says], absent=out)

    def test_damage(self):
        random.seed(7)
        for kind, source in self.files().items():
            data = bytearray(read(source))
            n = len(data)
            for at in [0, 6, 9, 14, 17, 30, 60, n // 2, n - 33, n - 1, random.randrange(n)]:
                with self.subTest(kind=kind, flipped=at):
                    data[at] ^= 1 << random.randrange(8)
                    self.use(kind, self.damaged(kind, data))
                    data[at] = read_byte(source, at)
            for keep in (0, 4, 40, 57, n // 3, n - 1):
                with self.subTest(kind=kind, cut=keep):
                    self.use(kind, self.damaged(kind, data[:keep]))
            with self.subTest(kind=kind, longer=True):
                self.use(kind, self.damaged(kind, data + b"\0"))

    def damaged(self, kind, data):
        path = self.path("damaged." + kind, bytes(data))
        os.chmod(path, 0o600)
        return path

    def test_wrong_kind(self):
        f = self.files()
        for kind in f:
            for other in f:
                if kind != other:
                    with self.subTest(kind=kind, given=other):
                        self.use(kind, f[other])
        for kind in f:
            self.use(kind, MODEL)

    def test_missing(self):
        for kind in self.KINDS:
            self.use(kind, self.path("nowhere"), "No such file")
            self.use(kind, self.dir, "folder")
        self.bad(3, "compile", self.path("no.onnx"), "-o", self.path("x.velum"), says="no.onnx")

    def test_another_key(self):
        s = sides()
        other, keys = self.path("other.key"), self.path("other.keys")
        self.good("keygen", s.c("m.client.velum"), "--secret", other, "--eval", keys)
        self.use("answer", s.c("a.ct"), secret=other)
        self.use("query", s.s("q.ct"), eval=keys)

    def test_another_program(self):
        t = sides("throughput")
        self.use("eval", t.s("e.keys"))
        self.use("query", t.s("q.ct"))
        self.use("answer", t.c("a.ct"))
        self.use("secret", t.c("s.key"))

    def test_model(self):
        data, out = read(MODEL), self.path("x.velum")
        for name, content in (("empty", b""), ("text", b"hello"), ("cut", data[:len(data) // 2]), ("keys", b"VELUMPRG" * 9)):
            self.bad(3, "compile", self.path(name + ".onnx", content), "-o", out, says=name + ".onnx", absent=out)
        random.seed(11)
        for _ in range(20):
            at = random.randrange(len(data))
            path = self.path("hit.onnx", data[:at] + bytes([data[at] ^ (1 << random.randrange(8))]) + data[at + 1:])
            p = command.run("compile", path, "-o", self.path("hit.velum"))
            self.assertIn(p.returncode, (0, 3, 4), f"byte {at}: {p.stderr}")


def read_byte(path, at):
    with open(path, "rb") as f:
        f.seek(at)
        return f.read(1)[0]


class Secrets(Case):
    def keygen(self, secret="s.key", keys="e.keys"):
        return ["keygen", sides().c("m.client.velum"), "--secret", self.path(secret), "--eval", self.path(keys)]

    def mode(self, name):
        return stat.S_IMODE(os.stat(self.path(name)).st_mode)

    def test_mode_and_force(self):
        self.good(*self.keygen(), umask=0)
        self.assertEqual(self.mode("s.key"), 0o600)
        first, keys = read(self.path("s.key")), read(self.path("e.keys"))
        self.bad(2, *self.keygen(), says=["s.key", "--force"])
        self.assertEqual((read(self.path("s.key")), read(self.path("e.keys"))), (first, keys))
        self.good(*self.keygen(), "--force", umask=0)
        self.assertNotEqual(read(self.path("s.key")), first)
        self.assertEqual(self.mode("s.key"), 0o600)
        self.assertEqual(sorted(os.listdir(self.dir)), ["e.keys", "s.key"])

    def test_links(self):
        os.symlink(self.path("elsewhere"), self.path("s.key"))
        self.bad(2, *self.keygen(), says="s.key", absent=self.path("elsewhere"))

    def test_neither(self):
        self.bad(1, *self.keygen(keys="no/e.keys"), says="no/e.keys", absent=self.path("s.key"))
        self.bad(1, *self.keygen(secret="no/s.key"), says="no/s.key", absent=self.path("e.keys"))
        os.mkdir(self.path("folder"))
        self.bad(1, *self.keygen(keys="folder"), says="folder", absent=self.path("s.key"))
        self.bad(2, *self.keygen(keys="s.key"), says="s.key", absent=self.path("s.key"))
        self.bad(2, *self.keygen(secret="./x", keys="x"), absent=self.path("x"))

    def test_into_a_pipe_and_out_of_one(self):
        self.bad(1, *self.keygen(keys="/dev/full"), says="/dev/full", absent=self.path("s.key"))
        self.assertEqual(os.listdir(self.dir), [])
        s, pipe = sides(), self.path("pipe")
        os.mkfifo(pipe)
        with open(self.path("e.keys"), "wb") as keys, subprocess.Popen(["cat", pipe], stdout=keys) as cat:
            self.good(*self.keygen(keys="pipe"))
            cat.wait()
        self.good("encrypt", s.c("m.client.velum"), "--secret", self.path("s.key"), "--input", s.c("x.csv"), "-o",
                  self.path("q.ct"))
        infer = ["infer", s.s("m.velum"), "--input", self.path("q.ct"), "--eval"]
        with subprocess.Popen(["cp", self.path("e.keys"), pipe]) as cp: # read, where a file is mapped
            self.good(*infer, pipe, "-o", self.path("a.ct"))
            cp.wait()
        self.good(*infer, self.path("e.keys"), "-o", self.path("b.ct"))
        for answer in "a.ct", "b.ct":
            self.good("decrypt", s.c("m.client.velum"), "--secret", self.path("s.key"), "--input", self.path(answer))
        self.path("empty", "")
        self.bad(3, *infer, self.path("empty"), "-o", self.path("c.ct"), says="not a Velum file",
                 absent=self.path("c.ct"))

    def test_force_keeps_on_failure(self):
        self.path("s.key", "precious")
        self.bad(1, *self.keygen(keys="no/e.keys"), "--force", says="no/e.keys")
        self.assertEqual(read(self.path("s.key")), b"precious")

    def test_loose_permissions(self):
        s = sides()
        shutil.copy(s.c("s.key"), self.path("s.key"))
        os.chmod(self.path("s.key"), 0o644)
        p = self.good("decrypt", s.c("m.client.velum"), "--secret", self.path("s.key"), "--input", s.c("a.ct"))
        self.assertIn("chmod 600", p.stderr)


class Writing(Case):
    def test_unchanged_on_failure(self):
        s, out = sides(), self.path("a.ct", "as before")
        self.bad(3, "infer", s.s("m.velum"), "--eval", s.s("e.keys"), "--input", s.s("e.keys"), "-o", out)
        self.assertEqual(read(out), b"as before")

    def test_places(self):
        s = sides()
        common = ["decrypt", s.c("m.client.velum"), "--secret", s.c("s.key"), "--input", s.c("a.ct"), "-o"]
        self.bad(1, *common, "/dev/full", says="/dev/full")
        self.bad(1, *common, self.path("no/y.csv"), says="no/y.csv")
        self.bad(1, *common, self.dir, says=self.dir)
        os.symlink("real.csv", self.path("link.csv"))
        self.path("real.csv", "old")
        self.good(*common, self.path("link.csv"))
        self.assertTrue(os.path.islink(self.path("link.csv")))
        self.assertIn(b"risk", read(self.path("real.csv")))
        self.good(*common, self.path("masked.csv"), umask=0o027)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("masked.csv")).st_mode), 0o640)

    def test_stdout_full(self):
        with open("/dev/full", "w") as full:
            p = subprocess.run([VELUM, "help"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual((p.returncode, p.stderr.count("\n")), (1, 1))

    def test_keys_cut_short_in_use(self):
        """The keys are mapped: the command may meet the end that they lost at any time."""
        s, out, keys = sides(), self.path("a.ct"), self.path("e.keys")
        for delay in (0.005, 0.02, 0.05, 0.1, 0.2, 0.4):
            shutil.copy(s.s("e.keys"), keys)
            args = [VELUM, "infer", s.s("m.velum"), "--eval", keys, "--input", s.s("q.ct"), "-o", out]
            with subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as p:
                time.sleep(delay)
                os.truncate(keys, 0)
                error = p.communicate()[1]
            self.assertIn(p.returncode, (0, 3), error)
            if p.returncode:
                lines = [line for line in error.splitlines() if not line.startswith("velum: note: ")]
                self.assertEqual((len(lines), "e.keys" in error), (1, True), error)
            self.assertEqual(sorted(os.listdir(self.dir)), ["e.keys"] if p.returncode else ["a.ct", "e.keys"])
            if not p.returncode:
                os.remove(out)

    def kill(self, number, args, names, delays):
        """Stops the command after each delay: files are there whole, together, or not at all."""
        for delay in delays:
            for name in os.listdir(self.dir):
                os.remove(self.path(name))
            with subprocess.Popen([VELUM, *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
                time.sleep(delay)
                p.send_signal(number)
            there = sorted(os.listdir(self.dir))
            if number != signal.SIGKILL:
                self.assertIn(p.returncode, (0, -number))
                self.assertIn(there, ([], sorted(names)), f"stopped after {delay:.3f} s")
            for name in there:
                if not name.startswith("."):
                    write(self.path(name + ".seen"), b"")
                    self.assertTrue(self.whole(name), f"{name} after {delay:.3f} s")

    def whole(self, name):
        """The head states the size."""
        data = read(self.path(name))
        return data[:5] == b"VELUM" and 56 + int.from_bytes(data[16:24], "little") + 32 == len(data)

    def test_killed(self):
        s = sides()
        args = ["keygen", s.c("m.client.velum"), "--secret", self.path("s.key"), "--eval", self.path("e.keys")]
        start = time.monotonic()
        self.good(*args)
        took = time.monotonic() - start
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            self.kill(number, args, ["e.keys", "s.key"], [took * i / 12 for i in range(14)])

    def test_killed_demo(self):
        env = {**os.environ, "TMPDIR": self.dir}
        stopped = 0
        for delay in (0.05, 0.1, 0.2, 0.5): # it may be done by then
            with subprocess.Popen([VELUM, "demo", "heart"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env) as p:
                time.sleep(delay)
                p.send_signal(signal.SIGTERM)
            self.assertIn(p.returncode, (0, -signal.SIGTERM))
            self.assertEqual(os.listdir(self.dir), [])
            stopped += p.returncode != 0
        self.assertGreater(stopped, 0)


if __name__ == "__main__":
    command.main()
