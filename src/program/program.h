// SPDX-License-Identifier: Apache-2.0
// The compiled artefact: a list of operations on packed values with explicit levels and scales, and the manifest.
// nn emits it, runtime executes it, explain prints it; neither of the first two includes the other.
#ifndef VELUM_PROGRAM_PROGRAM_H
#define VELUM_PROGRAM_PROGRAM_H

#include "circuits/compare.h"
#include "circuits/lintrans.h"
#include "circuits/poly.h"
#include "circuits/sparsemap.h"
#include "circuits/spread.h"
#include "program/manifest.h"

// A value: written once (static single assignment), value 0 is the input.
typedef struct vl_value {
    vl_layout layout;
    uint16_t level; // limbs
    double scale;
    double bound; // |slot| stays below this in valid slots, from calibration or interval arithmetic
} vl_value;

// X(name, text, inputs)
#define VL_OP_LIST(X)                                                                                                  \
    X(LINTRANS, "linear (packed)", 1) /* y = W x + bias by a vl_lintrans_plan; level - 1 */                            \
    X(MIX, "linear (spread)", 1)      /* the same on spread layouts, weights as scalars; level - 1 */                  \
    X(SQUARE, "square", 1)            /* x^2, relinearised and rescaled; level - 1 */                                  \
    X(MUL, "multiply", 2)             /* x y slot by slot, relinearised and rescaled; level - 1 */                     \
    X(ADD, "add", 2)                  /* equal scales; lower level of the two */                                       \
    X(POLY, "polynomial", 1)          /* f(x), slot by slot; level - ceil(log2(d+1)) */                                \
    X(MASK, "mask", 1) /* keeps copy 0 of the declared features and lanes, zeroes every other slot; level - 1 */       \
    X(DIAGONALS, "linear (diagonals)", 1) /* y = W x + bias, W sparse, by its nonzero diagonals; level - 1 */          \
    X(SIGN, "comparison", 1)              /* some stages of a minimax composite */                                     \
    X(GATE, "gate", 2)                    /* a h(u): the last stages of a comparison, times a */                       \
    X(BOOTSTRAP, "bootstrap", 1)          /* the same values at the bootstrap's out_level, scale unchanged */          \
    X(SPREAD, "linear (pictures)", 2)     /* of src[0] and, where it has more sources, src[1], which is else src[0];   \
                                             pictures; level - 1 */                                                    \
    X(SQUARES, "square (pictures)", 1)    /* of both parts, plus bias[ciphertext]; not rescaled: level kept */         \
    X(FOLD, "fold", 1)                    /* x += rotate(x, rotation[k]), one k after the other; level kept */

typedef enum vl_op_kind {
#define X(name, text, inputs) VL_OP_##name,
    VL_OP_LIST(X)
#undef X
        VL_OP_KINDS
} vl_op_kind;
const char *vl_op_text(vl_op_kind kind);
uint32_t vl_op_inputs(vl_op_kind kind);

#define VL_FOLD_MOST 16
typedef struct vl_op {
    vl_op_kind kind;
    char *name; // the ONNX nodes that it came from, for people: "top.0/Gemm"
    uint32_t dst, src[2];
    // At which the operation starts: sources at a higher level are dropped to it first. GATE: that of u; a may be
    // lower.
    uint16_t level;
    double plain_scale;    // LINTRANS, MIX, MASK: scale of the encoded weights; POLY, SIGN, GATE: of the result
    vl_lintrans_plan plan; // LINTRANS
    uint32_t rows, cols;   // LINTRANS, MIX
    double *weights;       // rows x cols, row-major
    double *bias;          // a number a row (DIAGONALS: of the matrix), or NULL
    vl_polynomial poly;    // POLY: coefficients owned through `coeffs`
    double *coeffs;
    vl_matrix matrix;      // DIAGONALS, in positions: rows <= period of the result, cols <= period of the source
    int32_t step, start;   // DIAGONALS: the split of vl_diagset_plan_split
    vl_compare compare;    // SIGN, GATE: its minimax table is one of vl_minimax_tables
    uint32_t first, count; // SIGN: stages first .. first + count - 1; GATE: from `first` to the last; FOLD: rotations
    // SPREAD: its sources are the ciphertexts of src[0], then those of src[1]. plain_scale is the weights' scale for
    // those of src[0]; for those of src[1] it is the one that leads to the same scale of the result.
    vl_spread spread;
    int32_t rotation[VL_FOLD_MOST]; // FOLD: slots to the left
    double seconds;                 // predicted, one thread
    double diagonal_seconds;        // DIAGONALS: more of it for each that a server keeps as coefficients
} vl_op;

typedef struct vl_program {
    vl_manifest manifest;
    uint32_t value_count, op_count;
    vl_value *values;
    vl_op *ops;
    uint32_t output;                 // a value
    double query_seconds;            // predicted, one thread, of one group: the query opened, checked and unpacked
    double answer_seconds;           // and the answer written
    uint64_t memory_bytes;           // what a server may take: diagonals that do not fit are made at use; 0: anything
    char *notes;                     // the compiler's remarks, one a line: fused nodes, fitted ranges, choices
    uint8_t digest[VL_DIGEST_BYTES]; // identity: set by save and load
} vl_program;

void vl_program_clear(vl_program *p);
// Levels decrease as stated, scales follow exactly, layouts fit, every key that is used is listed at a sufficient
// level, values are defined before use, all numbers finite and in range. Also what load runs. Diagnosis names the
// operation.
velum_status vl_program_verify(const vl_program *p);
velum_status vl_program_save(vl_program *p, vl_writer *w); // frame PRG; sets digest
velum_status vl_program_load(const void *data, size_t size, vl_program *p);
// The client's file: manifest and the program's digest, frame CLI.
velum_status vl_client_half_save(const vl_program *p, vl_writer *w);

// Scale of the result of op i by the exact rules, given its sources' scales (verify compares with values[dst].scale).
double vl_program_result_scale(const vl_params_literal *lit, const vl_program *p, const vl_op *op);
// Keys of the program's own parameters that operation `op` uses; 0 for one that verify refuses. A bootstrap's others
// are in the manifest.
uint32_t vl_program_op_keys(const vl_program *p, const vl_op *op, vl_key_request *out, uint32_t room);
// The level of its result by the exact rules; 0 if it has too few.
uint16_t vl_program_result_level(const vl_program *p, const vl_op *op);
// DIAGONALS: how its matrix lies, and the plan that its split gives.
vl_sparsemap_shape vl_program_shape(const vl_program *p, const vl_op *op);
velum_status vl_program_diagonals(const vl_program *p, const vl_op *op, vl_diagset_plan *plan);

// ---- bootstraps ----
// Parameters as far as plans look at them: numbers without tables, for vl_compare_plan_*, vl_bootstrap_plan_make and
// the queries of sizes. Not for computing.
void vl_program_outline(const vl_params_literal *lit, vl_params *out);
// Fills the manifest's fields that say how the program bootstraps, from its params. The set's name is copied.
velum_status vl_program_set_bootstrap(vl_manifest *m, const vl_bootstrap_params *set);
// The plan of the manifest's set. VELUM_E_FORMAT if the set makes no sense or the manifest's own fields (low, low_keys,
// raise_*) are not its; VELUM_E_INSECURE as vl_bootstrap_plan_make.
velum_status vl_program_bootstrap_plan(const vl_manifest *m, vl_bootstrap_plan *out);

// A text table for people: parameters, inputs, operations with level, rotations, keys, predicted time, memory.
velum_status vl_program_explain(const vl_program *p, vl_writer *w);

#endif
