// SPDX-License-Identifier: Apache-2.0
// cmocka with the headers that it wants included before it.
#ifndef VELUM_TESTS_TEST_H
#define VELUM_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
