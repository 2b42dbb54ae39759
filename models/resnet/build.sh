#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Trains, scores and exports the ResNet-20 in the tree. WORK: a folder for weights and checkpoints; a run that was
# stopped goes on. VELUM_DATA: the folder that holds cifar10/.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-/usr/bin/python3}
work=${WORK:-../../build/resnet}
# Large blocks stay with the process: fresh pages from the system cost more than the arithmetic on them.
export PYTHONDONTWRITEBYTECODE=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000

poly() {
    name=$1
    shift
    "$python" train.py poly "$name" --teacher "$work/resnet20_relu.pt" --work "$work" "$@"
}
"$python" train.py relu resnet20_relu --work "$work"
poly resnet20_1 --epochs 10 --frozen 0
poly resnet20_2 --start "$work/resnet20_1.pt" --follow 1
# The same ranges and statistics from here on: what leaves the ranges is brought back.
poly resnet20_3 --start "$work/resnet20_2.pt" --follow 0 --epochs 6 --frozen 6 --lr 0.005 --range 2
poly resnet20 --start "$work/resnet20_3.pt" --follow 0 --epochs 4 --frozen 4 --float 2 --lr 0.005 --range 4 --hard 2000

"$python" evaluate.py "$work/resnet20_relu.pt" "$work/resnet20.pt" --work "$work"
"$python" export.py "$work/resnet20.pt" resnet20.onnx --expected resnet20_expected.csv
"$python" calibrate.py resnet20.onnx resnet20_calibration.npy resnet20
"$python" pictures/draw.py
