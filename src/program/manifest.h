// SPDX-License-Identifier: Apache-2.0
// The client's half of a program: what goes in, what is done to it before encryption (the prologue), how it is packed,
// which keys the server needs, and what becomes of the answer after decryption (the epilogue). No weights.
#ifndef VELUM_PROGRAM_MANIFEST_H
#define VELUM_PROGRAM_MANIFEST_H

#include "circuits/bootstrap.h"
#include "ckks/ckks.h"
#include "layout/layout.h"
#include <velum/velum.h>

#define VL_MAX_REQUESTS (1ull << 24)
#define VL_MAX_INPUTS 4096
#define VL_MAX_STEPS 65536
#define VL_MAX_FEATURES 65536
#define VL_MAX_NAME 255
#define VL_MAX_KEYS 65536

typedef struct vl_input {
    char *name, *description; // description may be ""
    double lo, hi;            // accepted range of the raw value (inclusive); -inf, inf: any finite number
    uint32_t value_count;     // > 0: a category, the raw value must be one of these
    double *values;
} vl_input;

// The prologue: a list of steps, each one number a request, from the raw inputs. Step i may use steps before it only.
// A result that is not finite, or an x where the step is not defined, refuses the row.
#define VL_MAX_MAP (1u << 20) // keys of all maps of a program
typedef enum vl_step_kind {
    VL_STEP_INPUT,      // raw input number `src`
    VL_STEP_AFFINE,     // a * x + b
    VL_STEP_CLIP,       // min(max(x, a), b)
    VL_STEP_TRUNC,      // toward zero (Cast to an integer)
    VL_STEP_TABLE,      // table[x]; x an integer in [0, table_count), else the row is refused
    VL_STEP_DIV,        // floor(x / a), a > 0 (integers)
    VL_STEP_MOD,        // x - a floor(x / a), a > 0 (integers)
    VL_STEP_MAP,        // table[i] where keys[i] = x, else a; b = 1: x must be an integer in [-2^53, 2^53], b = 0: x is
                        // rounded to single precision first
    VL_STEP_EQUAL,      // 1 where x = a, else 0
    VL_STEP_LOG,        // natural; x > 0
    VL_STEP_EXP,        //
    VL_STEP_SQRT,       // x >= 0
    VL_STEP_RECIPROCAL, // x not 0
    VL_STEP_ABS,        //
    VL_STEP_SIGN,       // -1, 0 or 1
    VL_STEP_ROUND,      // to the nearest integer, ties to the even one
    VL_STEP_TANH,       //
    VL_STEP_ERF,        //
    VL_STEP_KINDS
} vl_step_kind;
typedef struct vl_step {
    vl_step_kind kind;
    uint32_t src; // a step, or an input for VL_STEP_INPUT
    double a, b;
    uint32_t table_count;
    double *table;
    double *keys; // MAP: ascending, table_count of them; else NULL
} vl_step;
const char *vl_step_text(vl_step_kind kind); // "log", ...
// The step on one number; false where it is not defined or not finite. Not for VL_STEP_INPUT.
bool vl_step_run(const vl_step *s, double x, double *y);
double vl_step_map(const vl_step *s, double x); // MAP, by bisection

// What is encrypted: features, in order. depth 0: the step's number itself (one feature); depth k: its one-hot vector
// of k features (the number must be an integer in [0, k), else the row is refused).
typedef struct vl_feature {
    uint32_t step, depth;
} vl_feature;

// What calibration saw, and what the program covers of it.
typedef struct vl_range {
    double lo, hi;
} vl_range;

typedef enum vl_epilogue {
    VL_EPILOGUE_NONE,
    VL_EPILOGUE_SIGMOID,
    VL_EPILOGUE_SOFTMAX,
    VL_EPILOGUE_ARGMAX,
    VL_EPILOGUES
} vl_epilogue;

typedef struct vl_manifest {
    char *model;  // a name for people
    char *metric; // "auc", "accuracy" or ""
    vl_params_literal params;
    uint32_t input_count, step_count, feature_count, output_count, key_count;
    vl_input *inputs;
    vl_step *steps;
    vl_feature *features;
    // Compiled with calibration rows: by input (a number) the least and the largest raw value of the rows; by feature
    // (depth 0) what ranges of values and activations are laid out for. Else NULL, both.
    vl_range *seen, *covered;
    vl_layout in; // of the encrypted input; in.dim = total features
    uint16_t in_level;
    double in_scale;
    vl_layout out; // of the answer; out.dim = output_count
    uint16_t out_level;
    double out_scale;
    char **outputs; // names of the output columns
    vl_epilogue epilogue;
    double error_bound;    // declared bound on |error| of the encrypted output before the epilogue
    double error_expected; // estimated deviation of it (of pictures: to the worst calibration row); 0: nothing is said
    vl_key_request *keys;  // rotation and relinearisation keys, sorted
    uint16_t zero_nq;      // level of the public encryption key for re-randomising; 0: none
    // Where the program bootstraps: its set, and what else the client generates for it, in terms of rlwe alone.
    bool bootstrapped;
    vl_bootstrap_params bootstrap;
    char *bootstrap_name;  // owns bootstrap.name where it is not a constant
    vl_params_literal low; // parameters of SlotsToCoeffs; q_count 0: none
    uint32_t low_key_count;
    vl_key_request *low_keys; // for `low`, sorted
    vl_encapsulation_shape raise;
} vl_manifest;

void vl_manifest_clear(vl_manifest *m);
void vl_manifest_save(const vl_manifest *m, vl_writer *w);
velum_status vl_manifest_load(vl_reader *r, vl_manifest *m); // checks every number
// Opens a client half (frame CLI): the manifest and the digest of its program.
velum_status vl_client_half_load(const void *data, size_t size, vl_manifest *m,
                                 uint8_t program_digest[VL_DIGEST_BYTES]);
uint32_t vl_manifest_dim(const vl_manifest *m); // sum over features of max(1, depth)
// Runs the prologue on one request: raw[input_count] -> features[in.dim]. VELUM_E_VALUE naming the row (1-based, as
// given), the field and its value when it is missing (NaN), not finite, out of range or not an accepted value.
velum_status vl_manifest_prologue(const vl_manifest *m, uint64_t row, const double *raw, double *features);
// In place on the output_count numbers of one request (ARGMAX writes the index into out[0]).
void vl_manifest_epilogue(const vl_manifest *m, double *out);
// The prologue over all rows of a table, its columns matched by name (by position where it has no names):
// (*out)[row * in.dim + feature]. Rows are numbered from 1 in messages.
velum_status vl_manifest_features(const vl_manifest *m, const velum_table *in, double **out);
// By input: whether a number is encrypted that is made of it, and not only one-hot vectors.
void vl_manifest_numbers(const vl_manifest *m, bool *number);
// The values that the program was not calibrated for, in rows that are accepted: see velum_client_unseen.
velum_status vl_manifest_unseen(const vl_manifest *m, const velum_table *in, velum_unseen *out);
// An output table with its column names set and `rows` rows of zeros.
velum_status vl_manifest_table(const vl_manifest *m, uint64_t rows, velum_table *out);
// Parameters, sizes on the wire and names. `p` made from m->params.
void vl_manifest_info(const vl_manifest *m, const vl_params *p, velum_info *out);
uint32_t vl_manifest_columns(const vl_manifest *m); // columns after the epilogue: 1 for ARGMAX

#endif
