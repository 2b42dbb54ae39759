// SPDX-License-Identifier: Apache-2.0
// Networks with squares, products and polynomials, encrypted at secure parameters, a request at a time.
#include "nn/nets.h"

static void latency(void **state) {
    (void)state;
    static const net_case nets[] = {
        {.name = "mlp_square"},  {.name = "lenet_square"}, {.name = "vgg_square"}, {.name = "resnet_square"},
        {.name = "quadratic"},   {.name = "separable"},    {.name = "dilated"},    {.name = "strides"},
        {.name = "asymmetric"},  {.name = "series"},       {.name = "pools"},      {.name = "joins"},
        {.name = "norms"},       {.name = "sums"},         {.name = "products"},   {.name = "inputs"},
        {.name = "dlrm_concat"}, {.name = "dlrm_dot"},     {.name = "bag"},        {.name = "attention"},
        {.name = "mlp_sigmoid"}, {.name = "mlp_gelu"},
    };
    net_run_all(nets, sizeof nets / sizeof *nets);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(latency)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
