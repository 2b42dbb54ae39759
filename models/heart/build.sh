#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Trains and exports the heart model and the two small variants that tests use.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-/usr/bin/python3}
export PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT

"$python" train.py
"$python" export.py

variant() {
    name=$1
    shift
    "$python" train.py "$@" --cv 0 --no-record --out "$temp/$name.npz" > "$temp/log"
    "$python" export.py --weights "$temp/$name.npz" --out "variants/$name.onnx" \
        --expected "variants/$name.expected.csv"
}
variant dlrm_dot --interaction dot --base 2 --threshold 2 --digits cp,ca,thal
variant dlrm_both --interaction both --dim 4 --top 16
