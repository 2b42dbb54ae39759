#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Trains and exports the three Criteo models. WORK: a folder for weights and checkpoints; a run that was stopped goes on.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-/usr/bin/python3}
work=${WORK:-../../build/criteo}
export PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1

"$python" train.py relu --test --work "$work" "$@"
"$python" train.py poly --activation poly --test --work "$work" "$@"
"$python" train.py dot --activation poly --interaction dot --epochs 3 --drop-rows 0.2 --decay-rows 1 --test \
    --work "$work" "$@"

"$python" export.py relu --invent --work "$work"
"$python" export.py poly --work "$work"
"$python" export.py dot --work "$work"
