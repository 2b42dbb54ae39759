#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `velum bench --filter lookup` reports: shapes, exactness, and that one-hot digits beat CodedHELUT."""
import json
import os
import subprocess
import unittest


def bench(regex):
    p = subprocess.run([os.environ["VELUM"], "bench", "--json", "--threads", "1", "--filter", regex],
                       capture_output=True, text=True, timeout=280)
    if p.returncode:
        raise AssertionError(p.stderr)
    return json.loads(p.stdout)["results"]


class Lookup(unittest.TestCase):
    def test_two_methods(self):
        results = bench("^lookup_(digits|codedhelut)_p8_l8_d50$")
        digits = [r for r in results if r["name"] == "lookup_digits_p8_l8_d50"]
        coded = [r for r in results if r["name"] == "lookup_codedhelut_p8_l8_d50"]
        self.assertEqual((len(digits), len(coded)), (1, 2))
        for r in results:
            self.assertEqual((r["width"], r["outputs"], r["ciphertexts"], r["threads"]), (64, 50, 1, 1))
            self.assertGreaterEqual(r["security_bits"], 128)
            self.assertGreater(r["query_bytes"], 0)
        for r in digits:
            self.assertEqual((r["limbs"], r["relinearisations"]), (2, 0))
            self.assertLess(r["max_error"], 2 ** -18)
        for r in coded:
            self.assertEqual((r["limbs"], r["products"], r["rotations"], r["relinearisations"]), (13, 50, 300, 11))
            self.assertLess(r["max_error"], 2 ** -15 if r["log_n"] == 15 else 2 ** -6)
            self.assertGreater(r["seconds_min"], 100 * digits[0]["seconds_min"])


if __name__ == "__main__":
    unittest.main()
