#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""velum check on programs that compute on pictures: the program's channels, phases and units against the model's nodes."""
import json
import os
import random
import struct

import command
from command import SOURCE, Case, npy, read, run, varint

SHAPES = {"resnet_square": (2, 8, 8), "lenet_square": (1, 10, 10), "strides": (1, 12, 12), "quadratic": (2, 8, 8),
          "pools": (2, 7, 6)}
# What the layers are of, in order; the last is there twice, masked.
RESIDUAL = ["/0/Conv", "/2/Mul", "/3/c1/Conv", "/3/act1/Mul", "/3/Add", "/3/act2/Mul", "/4/c1/Conv", "/4/act1/Mul",
            "/4/Add", "/4/act2/Mul", "/7/Gemm", "/7/Gemm"]
# The nodes at which weights show: sums for those of the convolutions that only sums are read of.
READERS = {"onnx::Conv_62": "/0/Conv", "onnx::Conv_65": "/3/c1/Conv", "onnx::Conv_68": "/3/Add",
           "onnx::Conv_71": "/4/c1/Conv", "onnx::Conv_77": "/4/Add", "7.weight": "/7/Gemm"}


def weights_at(onnx, name):
    """Where the numbers of a constant begin: a TensorProto's name (field 8) and its raw bytes (field 9)."""
    size, at = varint(onnx, onnx.index(b"\x42" + bytes([len(name)]) + name.encode() + b"\x4a") + 3 + len(name))
    return at, size // 4


def with_other_weights(onnx, name, factor, every=3):
    """A model with some numbers of a constant by a factor: the first of every three, of whatever shape."""
    at, count = weights_at(onnx, name)
    numbers = list(struct.unpack_from("<%df" % count, onnx, at))
    numbers[::every] = [factor * v for v in numbers[::every]]
    return onnx[:at] + struct.pack("<%df" % count, *numbers) + onnx[at + 4 * count:]


class CheckPictures(Case):
    def compile(self, name, batch, rows=12):
        """A network's file and a table of pictures, compiled for a batch; what explain says of the packing."""
        net, draw = os.path.join(SOURCE, "tests/nn/nets", name + ".onnx"), random.Random(1)
        channels, height, width = SHAPES[name]
        pictures = [[draw.uniform(-1, 1) for _ in range(channels * height * width)] for _ in range(rows)]
        table = self.path("x.npy", npy(pictures, shape=(rows, channels, height, width)))
        self.object("compile", net, "-o", self.path("m.velum"), "--target", "throughput", "--batch", batch,
                    "--calibration", table)
        passes = self.object("explain", self.path("m.velum"))["passes"]["packing"]
        return net, table, [line for line in passes if line.startswith("chosen, pictures over slots")]

    def agreeing(self, *args):
        """Layers that are compared: each agrees, and those that are not are parts of another."""
        r = self.object("check", *args)
        self.assertEqual((r["departs"], r["departs_from"], r["departs_node"]), (None, None, None))
        layers = r["layers"][:-2 if r["encrypted"] else -1]  # without the answers
        for x in layers:
            self.assertEqual(x["note"], None if x["node"] else "a part of another operation", x)
        compared = [x for x in layers if x["node"]]
        for x in compared:
            self.assertLess(x["departure"], 1e-10, x)
        return compared

    def test_residual(self):
        """A stride of 2, shortcuts by 1 x 1 and by nothing, an average; nodes of two blocks that have one name."""
        for batch, parts in ((32, "real parts"), (2000, "real and imaginary parts")):
            net, table, packing = self.compile("resnet_square", batch)
            self.assertEqual(len(packing), 1)
            self.assertIn(", %s," % parts, packing[0])
            compared = self.agreeing(net, self.path("m.velum"), "--input", table)
            self.assertEqual([x["node"] for x in compared], RESIDUAL)
            os.remove(self.path("m.velum")), os.remove(self.path("m.client.velum"))

    def test_other_shapes(self):
        """Elements that nothing reads, windows without padding, completed squares, sums over positions in the middle."""
        for name, nodes in (("strides", ["/0/Conv", "/1/Mul", "/2/Conv", "/3/Mul", "/6/Gemm", "/6/Gemm"]),
                            ("lenet_square", ["/0/Conv", "/1/Mul", "/3/Conv", "/4/Mul", "/7/Gemm", "/8/Mul", "/9/Gemm",
                                              "/9/Gemm"]),
                            ("quadratic", ["/0/Conv", "/1/Add_1", "/2/Conv", "/3/Add_1", "/5/Gemm", "/5/Gemm"]),
                            ("pools", ["/c/Conv", "/Pow", "/fc/Gemm", "/fc/Gemm"])):
            net, table, packing = self.compile(name, 2000)
            self.assertEqual(len(packing), 1, name)
            compared = self.agreeing(net, self.path("m.velum"), "--input", table)
            self.assertEqual([x["node"] for x in compared], nodes)
            os.remove(self.path("m.velum")), os.remove(self.path("m.client.velum"))

    def test_other_packings(self):
        """The same of a request in a ciphertext, where strides leave gaps."""
        for name in ("strides", "resnet_square"):
            net, table, _ = self.compile(name, 2000)
            self.object("compile", net, "-o", self.path("p.velum"), "--calibration", table)
            self.assertGreaterEqual(len(self.agreeing(net, self.path("p.velum"), "--input", table)), 6)
            os.remove(self.path("m.velum")), os.remove(self.path("m.client.velum"))
            os.remove(self.path("p.velum")), os.remove(self.path("p.client.velum"))

    def test_encrypted(self):
        net, table, packing = self.compile("strides", 2000)
        self.assertIn("real and imaginary parts", packing[0])
        keys = ["--secret", self.path("s.key"), "--eval", self.path("e.evk")]
        self.good("keygen", self.path("m.client.velum"), *keys)
        for x in self.agreeing(net, self.path("m.velum"), "--input", table, *keys):
            self.assertGreater(x["encrypted"], 0)
            self.assertLess(x["encrypted"], 2.0 ** -10)

    def departing(self, other, node, table):
        """What departs first is this node's, whose layers before agree."""
        args = ["check", other, self.path("m.velum"), "--input", table, "--tolerance", 1e-6]
        p, j = run(*args), run(*args, "--json")
        self.assertEqual((p.returncode, j.returncode), (1, 1))
        r = json.loads(j.stdout)
        self.assertEqual((r["departs_from"], r["departs_node"]), ("model", node))
        self.assertIn("'%s' is the first to depart, from the model," % r["departs"], p.stderr)
        self.assertIn("(node '%s' of the model)" % node, p.stderr)
        compared = [x for x in r["layers"] if x["node"]]
        before = [x["node"] for x in compared].index(node)
        self.assertEqual([x["departs_from"] for x in compared[:before + 1]], [None] * before + ["model"])
        self.assertEqual(r["departs"], compared[before]["name"])

    def test_other_weights(self):
        """The model has other weights than the program, in one of its layers: the first that reads them is named."""
        for batch, constants in ((32, ("onnx::Conv_62", "onnx::Conv_68", "7.weight")),
                                 (2000, ("onnx::Conv_65", "onnx::Conv_71", "onnx::Conv_77"))):
            net, table, _ = self.compile("resnet_square", batch)
            for constant in constants:
                other = self.path("other.onnx", with_other_weights(read(net), constant, 1.5))
                self.departing(other, READERS[constant], table)
            os.remove(self.path("m.velum")), os.remove(self.path("m.client.velum"))

    def test_other_bias(self):
        """A constant is within the shift that a layer is compared up to: the square behind it is named."""
        net, table, _ = self.compile("resnet_square", 32)
        other = self.path("other.onnx", with_other_weights(read(net), "onnx::Conv_66", -2, every=1))
        self.departing(other, "/3/act1/Mul", table)


if __name__ == "__main__":
    command.main()
