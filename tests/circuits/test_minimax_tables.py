# SPDX-License-Identifier: Apache-2.0
"""The tables in the tree are those that tools/minimax makes, to the last digit."""
import os
import subprocess
import sys

tool = os.path.join(os.environ["VELUM_SOURCE_DIR"], "tools", "minimax")
sys.exit(subprocess.run([sys.executable, "-B", tool, "--check"]).returncode)
