// SPDX-License-Identifier: Apache-2.0
// Velum: trained neural networks on encrypted data.
//
// Four roles, each an opaque object. The compiler turns an ONNX file into a program (for the server) and its client
// half. The client makes keys, encrypts requests, decrypts answers. The server answers encrypted queries. The secret
// key never leaves the client; the weights never leave the server.
//
// All content crosses this interface as bytes; nothing here opens a file. Objects are read-only once made and may be
// shared between threads, except that one velum_server answers one query at a time. Every function that can fail
// returns a velum_status and leaves its outputs untouched if it fails; velum_last_error() then says what and where.
// What a function gives out through `velum_buffer` or `**out` belongs to the caller, who frees it.
#ifndef VELUM_H
#define VELUM_H

#include <stddef.h>
#include <stdint.h>
#include <velum/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VELUM_VERSION "0.1.0"
VELUM_API const char *velum_version(void);

typedef struct velum_buffer {
    uint8_t *data;
    size_t size;
} velum_buffer;
VELUM_API void velum_buffer_free(velum_buffer *b);        // b->data may be NULL
VELUM_API void velum_buffer_free_secret(velum_buffer *b); // zeroes it first

// A table of numbers: `rows` requests by `columns` named columns, row-major. NaN stands for a missing field.
typedef struct velum_table {
    uint32_t columns;
    uint64_t rows;
    char **names; // may be NULL on input: columns are then taken in the model's order
    double *values;
} velum_table;
VELUM_API void velum_table_free(velum_table *t);

// Time and memory of one stage of a run.
typedef struct velum_stage {
    char name[64];
    double seconds;
    double predicted_seconds; // on one thread, by the compiler; 0: it says nothing of this
} velum_stage;
#define VELUM_MAX_STAGES 256
typedef struct velum_report {
    double seconds;           // query loaded to answer ready
    double predicted_seconds; // of all operations, on one thread
    uint64_t requests;
    unsigned threads;
    uint64_t peak_rss_bytes;
    uint64_t resumed_at; // operations, of all groups, that a checkpoint spared this run; their stages took it 0 seconds
    uint32_t stage_count;
    velum_stage stages[VELUM_MAX_STAGES];
} velum_report;

// How values lie in ciphertexts: a request's in one, each in its own, or pictures by channel and phase.
typedef enum velum_packing { VELUM_PACKED, VELUM_SPREAD, VELUM_PICTURES } velum_packing;
// What a program or its client half is, for people and for scripts.
typedef struct velum_info {
    const char *model, *metric; // owned by the object asked
    uint32_t log_n, limbs, special_limbs, digits, security_bits, lanes, inputs, outputs, keys;
    double log_q, log_qp, log_scale;
    uint64_t eval_key_bytes;            // as saved
    uint64_t query_bytes, answer_bytes; // for one full ciphertext group (`lanes` requests)
    uint64_t memory_bytes;              // planned peak of the server while it answers; 0 for the client
    double predicted_seconds;           // one group, one thread; 0 for the client
    double error_bound;                 // declared, before the epilogue
    double error_expected;              // the deviation that is expected of it (of pictures: to the worst of the
                                        // calibration rows); 0: not known
    velum_packing packing;
} velum_info;

// ---- compile ----
typedef enum velum_target { VELUM_LATENCY, VELUM_THROUGHPUT } velum_target;
typedef struct velum_compile_options { // zero-initialise: 0 means default
    velum_target target;
    uint64_t batch;                 // requests in one go; 0: 1 (latency) or as many as the slots take (throughput)
    uint64_t memory_bytes;          // ceiling for the server; 0: 16 GiB
    uint64_t key_bytes;             // ceiling for the evaluation keys in the server's memory; 0: none of its own
    uint32_t security_bits;         // 128 (default), 192 or 256
    uint32_t precision_bits;        // that approximated activations are good for, 4 to 24; 0: 12
    const velum_table *calibration; // raw inputs to find value ranges with; may be NULL
    const char *model_name;         // for people; may be NULL
    const void *prices;             // a price list (velum_prices_measure); NULL: the built-in one
    size_t prices_size;
} velum_compile_options;
// The result depends on the model, the options and the price list alone.
VELUM_API velum_status velum_compile(const void *onnx, size_t size, const velum_compile_options *options,
                                     velum_buffer *program, velum_buffer *client);

// What this machine takes for what all operations are made of, as text: the compiler compares plans by it, and predicts
// times. Measuring takes one to two seconds of one core.
VELUM_API velum_status velum_prices_measure(velum_buffer *list);
VELUM_API velum_status velum_prices_builtin(velum_buffer *list);
// Fails with VELUM_E_FORMAT unless it is an undamaged list of this version.
VELUM_API velum_status velum_prices_check(const void *list, size_t size);
// Names what a list is valid for: processor, kernels, version. 16 hexadecimal digits, NUL-terminated.
VELUM_API void velum_prices_fingerprint(char out[17]);

// The model itself in the clear, in double precision: what encrypted answers are compared with. Columns are matched by
// name (by position where the table has no names).
VELUM_API velum_status velum_evaluate(const void *onnx, size_t size, const velum_table *in, velum_table *out);

// Which of the model's own values an operation of a program stands for.
typedef struct velum_origin {
    const char *operation; // the name that the program gives it: the last of several of a name, in a row, leaves this
    const char *node;      // of the model, whose output it is up to a scale and a shift of each element; "": none
    uint64_t count;
    const double *values; // as programs of this packing order them; NAN: an element that nothing reads, or no node
} velum_origin;
// number: in the order of the program's operations; row: from 0.
typedef void (*velum_origin_fn)(void *user, uint32_t number, uint64_t row, const velum_origin *origin);
// As velum_evaluate, and each of a program's operations with the values that the model's own nodes compute there,
// whatever the compiler makes of them. Fails as velum_compile does for what cannot be compiled.
VELUM_API velum_status velum_evaluate_origins(const void *onnx, size_t size, velum_packing packing,
                                              const velum_table *in, velum_origin_fn each, void *user,
                                              velum_table *out);

// ---- the server's half ----
typedef struct velum_program velum_program;
VELUM_API velum_status velum_program_open(const void *data, size_t size, velum_program **out);
VELUM_API void velum_program_free(velum_program *p);
VELUM_API void velum_program_info(const velum_program *p, velum_info *out);
// A table of the program for people; NUL-terminated text.
VELUM_API velum_status velum_program_explain(const velum_program *p, velum_buffer *text);
// The compiler's remarks, a line each, as "pass: text"; NUL-terminated. The passes in their order: fold, fuse, ranges,
// fit, placement, packing, parameters, keys, memory.
VELUM_API velum_status velum_program_notes(const velum_program *p, velum_buffer *text);
// The client half of an opened program, as velum_compile gave it.
VELUM_API velum_status velum_program_client(const velum_program *p, velum_buffer *client);
// The same program in the clear, with its levels, scales and packing.
VELUM_API velum_status velum_program_simulate(const velum_program *p, const velum_table *in, velum_table *out);

// The same, layer by layer: the result of an operation for a row (from 0), its number in the order of computation, its
// name, its values in order, scaled as the program has it.
typedef void (*velum_layer_fn)(void *user, uint32_t layer, const char *name, uint64_t row, const double *values,
                               uint64_t count);
VELUM_API velum_status velum_program_simulate_layers(const velum_program *p, const velum_table *in, velum_layer_fn each,
                                                     void *user, velum_table *out);
// The same with noise on every result, of the size that encryption is expected to leave there: a model, independent
// from slot to slot. One seed, one result.
VELUM_API velum_status velum_program_simulate_noisy(const velum_program *p, const velum_table *in, uint64_t seed,
                                                    velum_layer_fn each, void *user, velum_table *out);

typedef struct velum_server velum_server;
// Takes the next bytes; anything but 0 ends the work with VELUM_E_IO.
typedef int (*velum_write_fn)(void *arg, const void *data, size_t size);
// Loads one client's evaluation keys and prepares the program: encodes its weights. threads 0: all cores.
VELUM_API velum_status velum_server_new(const velum_program *p, const void *eval_keys, size_t size, unsigned threads,
                                        velum_server **out);
// The same, but `eval_keys` must stay readable and unchanged until velum_server_free, and half of the keys is used
// where it lies instead of being copied: for a file that is mapped at an address that is a multiple of 64. Whoever can
// change the bytes meanwhile can spoil answers; a mapped file that is cut short ends the process.
VELUM_API velum_status velum_server_new_borrowing(const velum_program *p, const void *eval_keys, size_t size,
                                                  unsigned threads, velum_server **out);
VELUM_API void velum_server_free(velum_server *s);
VELUM_API unsigned velum_server_threads(const velum_server *s);
// Planned peak while it answers, beside the query's bytes.
VELUM_API uint64_t velum_server_memory(const velum_server *s);
// What a server tells while it answers a query: before its first operation and after each, from the thread that called.
typedef struct velum_progress {
    const char *stage;    // the operation that comes next; "" after the last
    uint64_t done, count; // operations, of all groups of requests
    double seconds, left; // so far, and an estimate of what is left
} velum_progress;
typedef void (*velum_progress_fn)(void *arg, const velum_progress *progress);
VELUM_API void velum_server_on_progress(velum_server *s, velum_progress_fn fn, void *arg); // fn NULL: nobody
VELUM_API velum_status velum_server_infer(velum_server *s, const void *query, size_t size, velum_buffer *answer,
                                          velum_report *report);
// The same for who looks for a fault and holds both halves: `each` gets what every operation leaves, one ciphertext a
// call, from the calling thread. Whoever has the secret key reads them (velum_client_decrypt_layer), and with them the
// weights: they are not for clients.
VELUM_API velum_status velum_server_infer_layers(velum_server *s, const void *query, size_t size, velum_write_fn each,
                                                 void *arg, velum_buffer *answer);

// For runs that take long, or much memory.
typedef struct velum_run_options { // zero-initialise: 0 means default
    // Called once, when the query and `resume` have been taken in: their bytes are not read any more and may go.
    void (*taken)(void *arg);
    void *taken_arg;
    // Takes checkpoints, from which the run can be continued if it is killed: each in pieces, from the calling thread,
    // ended by one of no bytes (NULL, 0); it then stands in place of the one before. Anything but 0 ends the
    // checkpoints, not the run. They hold ciphertexts and no secret.
    velum_write_fn keep;
    void *keep_arg;
    double keep_every;  // seconds from one to the next, at least; 0: 20, and fifteen times what writing takes
    const void *resume; // a checkpoint of a run of this query; NULL: from the start
    size_t resume_size;
} velum_run_options;
VELUM_API velum_status velum_server_run(velum_server *s, const void *query, size_t size,
                                        const velum_run_options *options, velum_buffer *answer, velum_report *report);
typedef struct velum_checkpoint_info {
    uint64_t done, count; // operations, of all groups of requests
    uint64_t time;        // when it was written, in seconds since 1970
} velum_checkpoint_info;
// Whether a run of the query can go on from there, as far as names go: VELUM_E_MISMATCH for a checkpoint of another
// query, another program or other keys, VELUM_E_FORMAT or VELUM_E_DIGEST for what is none or damaged.
VELUM_API velum_status velum_server_checkpoint(const velum_server *s, const void *query, size_t size,
                                               const void *checkpoint, size_t checkpoint_size,
                                               velum_checkpoint_info *out);

// ---- the client's half ----
typedef struct velum_client velum_client;
VELUM_API velum_status velum_client_open(const void *data, size_t size, unsigned threads, velum_client **out);
VELUM_API void velum_client_free(velum_client *c);
VELUM_API void velum_client_info(const velum_client *c, velum_info *out);
VELUM_API const char *velum_client_input_name(const velum_client *c, uint32_t i);
VELUM_API const char *velum_client_input_description(const velum_client *c, uint32_t i);
// `secret` must stay with the client (free it with velum_buffer_free_secret); `eval_keys` goes to the server.
VELUM_API velum_status velum_client_keygen(const velum_client *c, velum_buffer *secret, velum_buffer *eval_keys);
// The same, the server's keys going to `write` in pieces while they are made, from the calling thread: they may be
// gigabytes, and are never in memory all at once.
VELUM_API velum_status velum_client_keygen_to(const velum_client *c, velum_buffer *secret, velum_write_fn write,
                                              void *arg);
// Any number of rows; each group of `lanes` of them shares its ciphertexts.
VELUM_API velum_status velum_client_encrypt(const velum_client *c, const void *secret, size_t secret_size,
                                            const velum_table *in, velum_buffer *query);
// Values of a table that the program was not calibrated for: twice as far from the middle of what calibration rows
// held, and further. The program takes them, but what it computes from them may be wrong.
typedef struct velum_unseen {
    uint64_t values, rows; // how many, in how many rows; 0 without calibration
    uint64_t row;          // of the first, from 1
    uint32_t input;        // velum_client_input_name
    double value, lo, hi;  // itself, and what calibration rows held
} velum_unseen;
// Fails as velum_client_encrypt does, for a table that it refuses.
VELUM_API velum_status velum_client_unseen(const velum_client *c, const velum_table *in, velum_unseen *out);
// share_bits > 0: adds flooding noise for that many statistical bits, so that the result may be shown to others
// (IND-CPA-D); VELUM_E_LIMIT if the program's precision does not allow it. 0: exact result, keep it to yourself.
VELUM_API velum_status velum_client_decrypt(const velum_client *c, const void *secret, size_t secret_size,
                                            const void *answer, size_t size, uint32_t share_bits, velum_table *out);
// What an operation of an encrypted run left for a group of rows.
typedef struct velum_layer {
    uint32_t layer;         // its number in the order of computation, as velum_layer_fn has it
    uint32_t pieces, taken; // complete when equal
    char name[256];
    uint64_t first; // row, from 0
    uint32_t rows, columns;
    double *values; // rows x columns, scaled as the program has it
} velum_layer;
VELUM_API void velum_layer_free(velum_layer *layer);
// Decrypts what velum_server_infer_layers gave out, piece by piece in its order; zero-initialise *layer before the
// first. After a complete layer the next piece starts the next one. VELUM_E_MISMATCH for a piece out of order.
VELUM_API velum_status velum_client_decrypt_layer(const velum_client *c, const void *secret, size_t secret_size,
                                                  const void *piece, size_t size, velum_layer *layer);

#ifdef __cplusplus
}
#endif
#endif
