// SPDX-License-Identifier: Apache-2.0
// Saved form of spread maps:
//   sources:u32 outputs:u32 copies:u32 patterns:u32 period:u32 bias_period:u32 parts:u32
//   copies times: source:u32 rotation:i32 (as u32)
//   outputs times: entries:u32
//   as many times: copy:u32 pattern:u32 (2^32 - 1: none) weight:f64
//   patterns x period, then outputs x bias_period numbers: f64
#ifndef VELUM_PROGRAM_SPREAD_H
#define VELUM_PROGRAM_SPREAD_H

#include "base/bytes.h"
#include "circuits/spread.h"

void vl_spread_save(const vl_spread *s, vl_writer *w); // of one that passes vl_spread_check
// Every count is held against the bytes that are left before anything of its size is made; the rest is for
// vl_spread_check.
velum_status vl_spread_load(vl_reader *r, const char *what, vl_spread *out);

#endif
