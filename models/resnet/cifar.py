# SPDX-License-Identifier: Apache-2.0
"""The 50,000 training pictures of CIFAR-10: found, read and split.

Three formats of data_batch_1..5 are read from $VELUM_DATA/cifar10 (or a folder that is named): packed .cpk files,
unpacked by the cifar_codec.py that lies beside that folder; the original binary records, .bin; and the original
pickles, without suffix. The first reading leaves an array in the work folder, which the next ones map.
"""
import importlib.util
import os
import pickle
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
WORK = HERE.parents[1] / "build" / "resnet"
CLASSES = ("aeroplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORD = 1 + 3 * 32 * 32
TRAIN, TEST = slice(0, 45000), slice(45000, 50000)  # the last 5,000 pictures of data_batch_5 are only reported on


def folder(given=None):
    """The folder with the batches, or None where there is none."""
    path = Path(given) if given else Path(os.environ["VELUM_DATA"], "cifar10") if "VELUM_DATA" in os.environ else None
    return path if path and path.is_dir() else None


def unpack_cpk(path):
    spec = importlib.util.spec_from_file_location("cifar_codec", path.parents[1] / "cifar_codec.py")
    codec = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(codec)
    with tempfile.TemporaryDirectory() as tmp:
        out = Path(tmp, "batch.bin")
        codec.unpack(str(path), str(out))
        return out.read_bytes()


def unpickle(path):
    """The original pickles hold a dictionary of an array and lists; nothing else is loaded from a file."""
    allowed = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"), ("numpy", "ndarray"),
               ("numpy", "dtype"), ("_codecs", "encode")}

    class Plain(pickle.Unpickler):
        def find_class(self, module, name):
            if (module, name) not in allowed:
                raise pickle.UnpicklingError(f"{path}: {module}.{name} has no place in a batch of pictures")
            return super().find_class(module, name)

    with open(path, "rb") as f:
        batch = Plain(f, encoding="bytes").load()
    labels = np.array(batch[b"labels"], np.uint8)[:, None]
    return np.concatenate([labels, batch[b"data"]], 1).tobytes()


def batch_records(where, k):
    """Records of data_batch_k, uint8 [n, 3073]: the label, then 32x32 red, green and blue."""
    name = f"data_batch_{k}"
    for suffix, reader in ((".cpk", unpack_cpk), (".bin", Path.read_bytes), ("", unpickle)):
        path = where / (name + suffix)
        if path.is_file():
            a = np.frombuffer(reader(path), np.uint8)
            if a.size % RECORD or not a.size or a.reshape(-1, RECORD)[:, 0].max() >= len(CLASSES):
                raise SystemExit(f"{path}: these are no CIFAR-10 records")
            return a.reshape(-1, RECORD)
    raise SystemExit(f"{where}: no {name}.cpk, {name}.bin or {name}")


def load(given=None, work=WORK):
    """(pictures uint8 [50000, 3, 32, 32], labels int64 [50000]) in the original order."""
    where = folder(given)
    if where is None:
        raise SystemExit("no CIFAR-10 folder: name one, or set VELUM_DATA to the folder that holds cifar10/")
    work.mkdir(parents=True, exist_ok=True)
    cache = work / "cifar10.npy"
    if not cache.exists():
        with open(cache.with_suffix(".new"), "wb") as f:
            np.save(f, np.concatenate([batch_records(where, k) for k in range(1, 6)]))
        cache.with_suffix(".new").replace(cache)
    a = np.load(cache)
    if a.shape != (50000, RECORD):
        raise SystemExit(f"{where}: {len(a)} pictures instead of 50,000")
    return a[:, 1:].reshape(-1, 3, 32, 32), a[:, 0].astype(np.int64)
