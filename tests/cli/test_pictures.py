#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo on pictures, with a network of three channels: batches of CIFAR-10 as it reads them, and as it refuses them."""
import base64
import json
import lzma
import os
import re
import struct
import zlib

import command
from command import Case, npy, read, write
from small_net import SIDE, make_models, pictures

NAMES = "aeroplane car bird cat deer dog frog horse ship truck".split()
AREA = SIDE * SIDE
RECORD = 1 + 3 * AREA


def residuals(plane):
    """Of a median-edge predictor from left, above and both; numbers modulo 256."""
    v = [(b + 128) % 256 - 128 for b in plane]
    out = bytearray()
    for i, at in enumerate(v):
        y, x = divmod(i, SIDE)
        left, up = v[i - 1] if x else 0, v[i - SIDE] if y else 0
        corner = v[i - SIDE - 1] if x and y else 0
        guess = sorted((left, up, left + up - corner))[1] if x and y else up if y else left
        out.append((at - guess) & 255)
    return bytes(out)


def body_of(records):
    red, green, blue = ([r[1 + c * AREA:1 + (c + 1) * AREA] for r in records] for c in range(3))
    planes = [[[a - b for a, b in zip(p, q)] for p, q in zip(red, green)], green,
              [[a - b for a, b in zip(p, q)] for p, q in zip(blue, green)]]
    return bytes(r[0] for r in records) + b"".join(residuals(p) for plane in planes for p in plane)


def head(count, magic=b"CPK1", labels=1):
    return magic + struct.pack("<BI", labels, count)


def packed(records):
    return head(len(records)) + lzma.compress(body_of(records))


def hungry(xz):
    """The same stream, to be decoded with 4 GiB of memory, by its block's head."""
    size = (xz[12] + 1) * 4
    block = bytearray(xz[12:12 + size - 4])
    block[block.index(b"\x21\x01", 2) + 2] = 40
    return xz[:12] + block + struct.pack("<I", zlib.crc32(block)) + xz[12 + size:]


class Pictures(Case):
    @classmethod
    def setUpClass(cls):
        cls.models = command.tempfile.mkdtemp(prefix="velum-models-")
        cls.addClassCleanup(command.shutil.rmtree, cls.models, ignore_errors=True)
        make_models(cls.models)
        cls.records = pictures(5)

    def data(self, name, content):
        """A folder of data sets that has this batch alone."""
        folder = self.path("data")
        os.makedirs(os.path.join(folder, os.path.dirname(name)), exist_ok=True)
        write(os.path.join(folder, name), content)
        return folder

    def demo(self, *more):
        return ["demo", "cifar10", "--models", self.models, *more]

    def shown(self, text):
        """What the pictures show, by the labels."""
        rows = re.findall(r"^ +\d+  (\w+) +(\w+) +(\w+) +(\*?)$", text, re.M)
        self.assertEqual([clear == own for _, own, clear, _ in rows], [not star for *_, star in rows])
        return [r[0] for r in rows]

    def check_round(self, want, *more, **how):
        """A whole round: its pictures, in the client's folder and on the page, and its labels are those wanted."""
        kept, page = self.path("kept"), self.path("page.html")
        p = self.good(*self.demo("--keep", kept, "-o", page, *more), **how)
        self.assertEqual(self.shown(p.stdout), [NAMES[r[0]] for r in want])
        self.assertEqual(read(os.path.join(kept, "client/pictures.npy"))[-8 * len(want) * (RECORD - 1):],
                         npy([r[1:] for r in want])[-8 * len(want) * (RECORD - 1):])
        html = read(page).decode()
        bitmaps = [base64.b64decode(b) for b in re.findall(r"data:image/bmp;base64,([\w+/=]+)", html)]
        self.assertEqual(len(bitmaps), len(want))
        for bitmap, record in zip(bitmaps, want):
            rows = [bitmap[54 + y * 3 * SIDE:][:3 * SIDE] for y in reversed(range(SIDE))]
            pixels = b"".join(rows)
            self.assertEqual([pixels[2 - c::3] for c in range(3)],
                             [record[1 + c * AREA:1 + (c + 1) * AREA] for c in range(3)])
        command.shutil.rmtree(kept)
        os.remove(page)
        return p

    def test_formats(self):
        data = self.data("cifar10/data_batch_5.cpk", packed(self.records))
        self.assertIn("real pictures", self.check_round(self.records, "--data", data).stdout)
        for name in ("cifar10/data_batch_5.bin", "cifar-10-batches-bin/data_batch_5.bin"):
            command.shutil.rmtree(data)
            self.data(name, b"".join(self.records))
            self.assertIn("real pictures", self.check_round(self.records[-2:], "--data", data, "--batch", "2").stdout)

    def test_drawn(self):
        p = self.check_round(pictures(5, 9), "--batch", "9", env={"VELUM_DATA": ""})
        self.assertIn("drawn pictures", p.stdout)
        self.assertIn("5 pictures come with the model; a larger batch takes real ones", p.stderr)

    def test_numbers(self):
        data = self.data("cifar10/data_batch_5.cpk", packed(self.records))
        p = self.good(*self.demo("--data", data, "--batch", "2", "--json"))
        j = json.loads(p.stdout)
        self.assertEqual((j["model"], j["requests"], j["metric_rows"], j["pictures"]), ("cifar10", 2, 2, "cifar10"))
        self.assertEqual((j["metric_name"], j["labels_equal"]), ("accuracy", 1))
        self.assertEqual(j["metric_clear"], j["metric_encrypted"])
        self.assertGreater(j["precision_bits"], 12)
        self.assertGreaterEqual(j["security_bits"], 128)

    def refused(self, name, content, *says):
        data = self.data(name, content)
        path = os.path.join(data, name)
        self.bad(3, *self.demo("--data", data), says=[path + ": ", *says])
        os.remove(path)

    def test_refused_records(self):
        whole, name = b"".join(self.records), "cifar10/data_batch_5.bin"
        for content in (b"", whole[:-1], whole + b"\0", whole[:RECORD - 1], b"CPK1", b"CPK1" + bytes(5)):
            self.refused(name, content, "not a batch of CIFAR-10 pictures")
        for label in (10, 255):
            self.refused(name, whole[:-RECORD] + bytes([label]) + whole[-RECORD + 1:], "a label above 9")

    def test_refused_packed(self):
        good, name = packed(self.records), "cifar10/data_batch_5.cpk"
        body, count = body_of(self.records), len(self.records)
        for cut in (10, 30, len(good) // 2, len(good) - 1):
            self.refused(name, good[:cut], "damaged or cut short")
        for at in range(9, len(good), len(good) // 6):
            self.refused(name, good[:at] + bytes([good[at] ^ 16]) + good[at + 1:], "damaged or cut short")
        for more in (b"\0", b"a letter", good[9:]):
            self.refused(name, good + more, "damaged or cut short")
        for wrong in (count - 1, count + 1, 100000):
            self.refused(name, head(wrong) + good[9:], "damaged or cut short")
        for start in (head(0), head(100001), head((1 << 32) - 1), head(count, labels=2)):
            self.refused(name, start + good[9:], "not a packed batch of CIFAR-10 pictures")
        for magic in (b"CPK2", b"\0\0\0\0"):
            self.refused(name, head(count, magic) + good[9:], "not a batch of CIFAR-10 pictures")
        self.refused(name, head(count) + lzma.compress(body[:-1]), "damaged or cut short")
        self.refused(name, head(count) + lzma.compress(body + b"\0"), "damaged or cut short")
        self.refused(name, head(count) + lzma.compress(bytes(1 << 26)), "damaged or cut short")
        self.refused(name, head(count) + hungry(good[9:]), "damaged or cut short")
        self.refused(name, head(count) + lzma.compress(bytes([3, 3, 3, 3, 10]) + body[count:]), "a label above 9")

    def test_nowhere(self):
        self.bad(3, *self.demo("--data", self.dir), says=[self.dir, "no cifar10/data_batch_5.cpk there"])
        self.bad(3, "demo", "cifar10", "--models", self.dir, says=[self.dir, "no resnet/resnet20.onnx there"])
        os.makedirs(self.path("cifar10/data_batch_5.cpk"))
        self.bad(3, *self.demo("--data", self.dir), says="data_batch_5.cpk: ")
        self.bad(2, *self.demo("--batch", "0"), says="--batch")
        self.bad(2, *self.demo("--batch", "5001"), says="--batch")

    def with_models(self, **files):
        """The models' folder with other files in place of its own."""
        folder = self.path("models")
        command.shutil.copytree(self.models, folder)
        for name, content in files.items():
            write(os.path.join(folder, "resnet/pictures", name.replace("_", ".")), content)
        return folder

    def test_refused_table(self):
        rows = [r[1:] for r in self.records]
        five = "label,name\n" + "3,cat\n" * 5
        for says, files in ((("labels.csv", "not one label, 0 to 9, a picture"), {"labels_csv": five[:-6]}),
                            (("labels.csv", "not one label, 0 to 9, a picture"), {"labels_csv": five[:-6] + "cat\n"}),
                            (("labels.csv", "not one label, 0 to 9, a picture"), {"labels_csv": five[:-6] + "10,x\n"}),
                            (("labels.csv", "not one label, 0 to 9, a picture"), {"labels_csv": ""}),
                            (("pictures.npy", "not pictures of 3 x 32 x 32 numbers"), {"pictures_npy": npy([r[1:] for r in rows])}),
                            (("pictures.npy",), {"pictures_npy": npy(rows, "B", cut=1)}),
                            (("pictures.npy",), {"pictures_npy": npy([[float("nan")] * (RECORD - 1)])})):
            folder = self.with_models(**files)
            self.bad(3, "demo", "cifar10", "--models", folder, says=says, env={"VELUM_DATA": ""})
            command.shutil.rmtree(folder)


if __name__ == "__main__":
    command.main()
