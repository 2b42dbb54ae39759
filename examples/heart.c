// SPDX-License-Identifier: Apache-2.0
// One patient's risk of heart disease, computed on encrypted attributes. Client and server are two functions here; in
// life they are two machines, and only what `messages` holds goes from one to the other.
//   heart [models/heart/dlrm_heart.onnx]
#include <stdio.h>
#include <stdlib.h>
#include <velum/velum.h>

// Ends the program with the library's reason if a call failed.
static void check(velum_status status, const char *what) {
    if (status == VELUM_OK) return;
    fprintf(stderr, "%s: %s\n", what, velum_last_error());
    exit(velum_status_exit(status));
}

// A whole file; freed with free().
static velum_buffer read_file(const char *path) {
    velum_buffer b = {0};
    FILE *f = fopen(path, "rb");
    long size = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    if (size > 0 && (b.data = malloc((size_t)size))) {
        rewind(f);
        b.size = fread(b.data, 1, (size_t)size, f);
    }
    if (f) fclose(f);
    if (size <= 0 || b.size != (size_t)size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    return b;
}

// What crosses the network.
struct messages {
    velum_buffer client_half, eval_keys, query, answer;
};

// The server answers a query. It has the program and the client's evaluation keys, and no secret.
static void answer(const velum_buffer *program, struct messages *m) {
    velum_program *p;
    velum_server *server;
    velum_report report;
    check(velum_program_open(program->data, program->size, &p), "program");
    check(velum_server_new(p, m->eval_keys.data, m->eval_keys.size, 0, &server), "evaluation keys");
    check(velum_server_infer(server, m->query.data, m->query.size, &m->answer, &report), "query");
    printf("server: %.0f ms on encrypted data\n", report.seconds * 1e3);
    velum_server_free(server);
    velum_program_free(p);
}

int main(int argc, char **argv) {
    // The server compiles the trained network. The client gets its half, which has no weights.
    velum_buffer onnx = read_file(argc > 1 ? argv[1] : "models/heart/dlrm_heart.onnx"), program;
    struct messages m;
    check(velum_compile(onnx.data, onnx.size, &(velum_compile_options){0}, &program, &m.client_half), "compile");
    free(onnx.data);

    // The client makes its keys, once. The secret key stays here.
    velum_client *client;
    velum_buffer secret;
    check(velum_client_open(m.client_half.data, m.client_half.size, 0, &client), "client half");
    check(velum_client_keygen(client, &secret, &m.eval_keys), "keys");

    // One patient, raw values in the model's order; a table with names may have its columns in any order.
    double patient[] = {59, 1, 4, 146, 291, 1, 2, 129, 1, 2.3, 2, 2, 7};
    velum_table input = {.columns = 13, .rows = 1, .values = patient}, output;
    check(velum_client_encrypt(client, secret.data, secret.size, &input, &m.query), "encrypt");

    answer(&program, &m);

    check(velum_client_decrypt(client, secret.data, secret.size, m.answer.data, m.answer.size, 0, &output), "decrypt");
    printf("client: %s %.4f\n", output.names[0], output.values[0]);

    velum_table_free(&output);
    velum_buffer_free_secret(&secret);
    velum_client_free(client);
    velum_buffer_free(&program);
    velum_buffer_free(&m.client_half);
    velum_buffer_free(&m.eval_keys);
    velum_buffer_free(&m.query);
    velum_buffer_free(&m.answer);
    return 0;
}
