# SPDX-License-Identifier: Apache-2.0
"""A network on pictures of 3 x 32 x 32 bytes with ten outputs, small enough for a demo within seconds, in a folder that
looks like models/: what `velum demo cifar10 --models` takes. The ONNX file is written by hand: the standard library has
no protobuf."""
import os
import random
import struct

from command import npy, write

CHANNELS, CLASSES, SIDE = 3, 10, 32
FLOAT, INT, INTS = 1, 2, 7  # TensorProto.FLOAT, AttributeProto.INT and INTS


def number(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(key, value):
    """A number, or a text or message."""
    if isinstance(value, int):
        return number(key << 3) + number(value)
    data = value.encode() if isinstance(value, str) else value
    return number(key << 3 | 2) + number(len(data)) + data


def attribute(name, value):
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, INT)
    return field(1, name) + b"".join(field(8, v) for v in value) + field(20, INTS)


def node(kind, inputs, output, **attributes):
    return field(1, b"".join(field(1, i) for i in inputs) + field(2, output) + field(3, output) + field(4, kind) +
                 b"".join(field(5, attribute(k, v)) for k, v in attributes.items()))


def tensor(name, dims, values):
    data = struct.pack("<%df" % len(values), *values)
    return field(5, b"".join(field(1, d) for d in dims) + field(2, FLOAT) + field(8, name) + field(9, data))


def value(key, name, dims):
    shape = b"".join(field(1, field(2, d) if isinstance(d, str) else field(1, d)) for d in dims)
    return field(key, field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, shape))))


def model():
    rng = random.Random(5)

    def draw(count, size):
        return [rng.uniform(-size, size) for _ in range(count)]

    kernels = [v + (i // 27 == i // 9 % 3) / 9 / 255 for i, v in enumerate(draw(CHANNELS * 27, 0.05 / 255))]  # one a colour
    graph = (node("Conv", ["image", "w"], "c", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]) +
             node("Mul", ["c", "c"], "s") + node("GlobalAveragePool", ["s"], "p") + node("Flatten", ["p"], "f", axis=1) +
             node("Gemm", ["f", "d", "b"], "logits", transB=1) + field(2, "small") +
             tensor("w", [CHANNELS, 3, 3, 3], kernels) + tensor("d", [CLASSES, CHANNELS], draw(CLASSES * CHANNELS, 2)) +
             tensor("b", [CLASSES], draw(CLASSES, 0.1)) +
             value(11, "image", ["batch", 3, SIDE, SIDE]) + value(12, "logits", ["batch", CLASSES]))
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def pictures(count, seed=1):
    """Invented records: a label, then red, green and blue; every second picture of random pixels, the others smooth."""
    rng = random.Random(seed)
    out = []
    for i in range(count):
        planes = [bytes([i * 7 % CLASSES])]
        for _ in range(3):
            top, down, right = rng.randrange(256), rng.randrange(8), rng.randrange(8)
            planes.append(bytes((rng.randrange(1 + top) if i % 2 else max(0, top - down * y - right * x))
                                for y in range(SIDE) for x in range(SIDE)))
        out.append(b"".join(planes))
    return out


def make_models(folder):
    """folder/resnet as models/resnet: the network, its calibration, and five drawn pictures."""
    drawn = pictures(5, 9)
    place = os.path.join(folder, "resnet")
    os.makedirs(os.path.join(place, "pictures"))
    write(os.path.join(place, "resnet20.onnx"), model())
    write(os.path.join(place, "resnet20_calibration.npy"), npy([r[1:] for r in pictures(8, 3)], "B"))
    write(os.path.join(place, "pictures/pictures.npy"), npy([r[1:] for r in drawn], "B"))
    write(os.path.join(place, "pictures/labels.csv"), "label,name\n" + "".join(f"{r[0]},invented\n" for r in drawn))
    return folder
