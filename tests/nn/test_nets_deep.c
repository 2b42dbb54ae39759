// SPDX-License-Identifier: Apache-2.0
// Networks with activations that are no squares, encrypted, with bootstraps by a small set that is not secure.
#include "nn/nets.h"

#define DEEP(n)                                                                                                        \
    { .name = n, .bootstraps = true, .rows = 1 }

static void polynomials(void **state) {
    (void)state;
    static const net_case nets[] = {DEEP("mlp_sigmoid"), DEEP("mlp_tanh"),     DEEP("mlp_gelu"),
                                    DEEP("mlp_silu"),    DEEP("mlp_softplus"), DEEP("mlp_mish"),
                                    DEEP("mlp_elu"),     DEEP("conv_silu"),    DEEP("deep_square")};
    net_run_all(nets, sizeof nets / sizeof *nets);
}

static void comparisons(void **state) {
    (void)state;
    static const net_case nets[] = {DEEP("mlp_relu"), DEEP("lenet_relu"),  DEEP("lenet_max"),
                                    DEEP("vgg_relu"), DEEP("resnet_relu"), DEEP("leaky"),
                                    DEEP("maximum"),  DEEP("clips"),       DEEP("dlrm_relu")};
    net_run_all(nets, sizeof nets / sizeof *nets);
}

// Values that repeat within few slots, which is what is bootstrapped.
static void sparse_slots(void **state) {
    (void)state;
    static const net_case nets[] = {
        {.name = "mlp_relu", .bootstraps = true, .sparse = true},
        {.name = "dlrm_relu", .bootstraps = true, .sparse = true},
        {.name = "mlp_elu", .bootstraps = true, .sparse = true, .target = VELUM_THROUGHPUT, .batch = 4, .rows = 6},
    };
    net_run_all(nets, sizeof nets / sizeof *nets);
}

static void little_memory(void **state) {
    (void)state;
    static const net_case nets[] = {{.name = "resnet_relu", .bootstraps = true, .tight = true},
                                    {.name = "vgg_relu", .bootstraps = true, .tight = true, .batch = 2}};
    net_run_all(nets, sizeof nets / sizeof *nets);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(polynomials), cmocka_unit_test(comparisons),
                                       cmocka_unit_test(sparse_slots), cmocka_unit_test(little_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
