// SPDX-License-Identifier: Apache-2.0
#ifndef VELUM_BASE_CPU_H
#define VELUM_BASE_CPU_H

// What this CPU and its operating system can run (AVX state enabled by the OS is checked).
enum { VL_CPU_AVX2_FMA = 1, VL_CPU_AVX512_IFMA = 2 };
unsigned vl_cpu_features(void);
// A short name of the processor for reports, e.g. from CPUID's brand string.
const char *vl_cpu_name(void);

#endif
