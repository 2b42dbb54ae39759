// SPDX-License-Identifier: Apache-2.0
// Networks for many requests in one go, encrypted.
#include "nn/nets.h"

#define MANY(n)                                                                                                        \
    { .name = n, .target = VELUM_THROUGHPUT, .rows = 5 }
#define GROUPS(n, b)                                                                                                   \
    { .name = n, .target = VELUM_THROUGHPUT, .batch = b, .rows = b + 3 }
#define DEEP(n, b)                                                                                                     \
    { .name = n, .bootstraps = true, .target = VELUM_THROUGHPUT, .batch = b, .rows = b + 1 }

static void as_many_as_fit(void **state) {
    (void)state;
    static const net_case nets[] = {MANY("mlp_square"), MANY("norms"),    MANY("dlrm_concat"), MANY("dlrm_dot"),
                                    MANY("bag"),        MANY("products"), MANY("sums"),        MANY("mlp_sigmoid")};
    net_run_all(nets, sizeof nets / sizeof *nets);
}

static void groups(void **state) {
    (void)state;
    static const net_case nets[] = {GROUPS("lenet_square", 4), GROUPS("strides", 8),     GROUPS("series", 16),
                                    GROUPS("pools", 4),        GROUPS("joins", 4),       GROUPS("dilated", 4),
                                    GROUPS("asymmetric", 4),   GROUPS("separable", 300), GROUPS("inputs", 32),
                                    GROUPS("attention", 8),    GROUPS("separable", 4)};
    net_run_all(nets, sizeof nets / sizeof *nets);
}

static void deep(void **state) {
    (void)state;
    static const net_case nets[] = {DEEP("mlp_relu", 8), DEEP("mlp_gelu", 16), DEEP("dlrm_relu", 4),
                                    DEEP("resnet_relu", 2), DEEP("leaky", 32)};
    net_run_all(nets, sizeof nets / sizeof *nets);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_many_as_fit), cmocka_unit_test(groups),
                                       cmocka_unit_test(deep)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
