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

// A convolution goes by its diagonals where they are few, though nothing in the network forces that.
static void convolutions_by_diagonals(void **state) {
    (void)state;
    static const char *const names[] = {"vgg_square", "strides", "dilated"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const net_case c = {.name = names[i]};
        size_t size;
        uint32_t maps = 0;
        velum_buffer program, client;
        vl_program p = {0};
        void *onnx = net_file(&c, &size);
        net_compile(&c, onnx, size, &p, &program, &client);
        for (uint32_t k = 0; k < p.op_count; k++) maps += p.ops[k].kind == VL_OP_DIAGONALS;
        assert_true(maps >= 1);
        assert_int_equal(p.memory_bytes, UINT64_C(16) << 30);
        velum_buffer_free(&program);
        velum_buffer_free(&client);
        vl_program_clear(&p);
        free(onnx);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(latency), cmocka_unit_test(convolutions_by_diagonals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
