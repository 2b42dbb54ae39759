// SPDX-License-Identifier: Apache-2.0
#ifndef VELUM_BASE_CLOCK_H
#define VELUM_BASE_CLOCK_H

// Seconds of a clock that only goes forward, for differences.
double vl_now(void);

#endif
