// SPDX-License-Identifier: Apache-2.0
// Programs. One that loads must pass the verifier again, and runs: explained, simulated and, if it is small, encrypted
// from key generation to decryption. What the verifier accepts may give wrong numbers, but not fail in an operation.
#include "session.h"

#define MAX_BYTES (UINT64_C(16) << 20) // planned memory of an encrypted run

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run_encrypted(velum_program *program, velum_client *client, const velum_table *in) {
    velum_buffer secret, keys, query, answer;
    velum_server *server;
    velum_table out;
    if (velum_client_keygen(client, &secret, &keys) != VELUM_OK) return;
    if (velum_client_encrypt(client, secret.data, secret.size, in, &query) == VELUM_OK) {
        if (velum_server_new(program, keys.data, keys.size, 1, &server) == VELUM_OK) {
            BUILD_OK(velum_server_infer(server, query.data, query.size, &answer, NULL));
            if (velum_client_decrypt(client, secret.data, secret.size, answer.data, answer.size, 0, &out) == VELUM_OK)
                velum_table_free(&out);
            velum_buffer_free(&answer);
            velum_server_free(server);
        }
        velum_buffer_free(&query);
    }
    velum_buffer_free_secret(&secret);
    velum_buffer_free(&keys);
}

static void run(velum_program *program) {
    velum_info info;
    velum_buffer text, half;
    velum_table out;
    velum_client *client;
    velum_program_info(program, &info);
    BUILD_OK(velum_program_explain(program, &text));
    velum_buffer_free(&text);
    double *raw = calloc(info.inputs, sizeof *raw);
    velum_table in = {.columns = info.inputs, .rows = 1, .values = raw};
    if (info.memory_bytes < MAX_BYTES && info.eval_key_bytes < MAX_BYTES) {
        if (velum_program_simulate(program, &in, &out) == VELUM_OK) velum_table_free(&out);
        BUILD_OK(velum_program_client(program, &half));
        BUILD_OK(vl_client_open_insecure(half.data, half.size, 1, &client));
        run_encrypted(program, client, &in);
        velum_client_free(client);
        velum_buffer_free(&half);
    }
    free(raw);
}

static void use(const fuzz_session *s, const void *data, size_t size) {
    (void)s;
    vl_program p;
    velum_program *program;
    if (vl_program_load(data, size, &p) != VELUM_OK) return;
    BUILD_OK(vl_program_verify(&p));
    vl_program_clear(&p);
    if (velum_program_open(data, size, &program) != VELUM_OK) return;
    run(program);
    velum_program_free(program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const fuzz_session *s = fuzz_open();
    return fuzz_run(data, size, s, &s->program_file, use);
}
