// SPDX-License-Identifier: Apache-2.0
// Convolutional networks for many requests: pictures over slots (layout.h: picture layouts; circuits/spread.h: the
// linear maps). Which models, how their values lie, what numbers the program holds, what it takes;
// docs/design/planner.md.
//
// A stage is a base of the lowered model with the affine map that makes its argument, or the output. The program holds
//   of a square's argument x:  t = x / unit,     of its result:  t^2 + shift  =  (x^2 / unit^2) + shift,
//   of a copy:                 t = x / unit + shift,
// unit and shift by channel. Shifts are chosen so that biases are the same at all positions of a channel, zero padding
// or not.
#ifndef VELUM_NN_PICTURES_H
#define VELUM_NN_PICTURES_H

#include "nn/plan.h"

typedef struct vl_nn_grid {
    uint32_t channels, height, width;
    uint32_t stride_y, stride_x; // pixels of the input between neighbours: powers of two
} vl_nn_grid;

// By channel, mean over answers (pictures_slopes.c): factors from the variance of an error of a stage's argument to
// that of the answer, if the error differs from pixel to pixel and if it is the same for all of them; and from that of
// e where (t - t') e is added to the square of t, t' being another request's.
typedef struct vl_nn_slopes {
    double *apart, *together, *crossed;
} vl_nn_slopes;

typedef struct vl_nn_sample { // a calibration row at a stage, by channel
    vl_nn_slopes slopes;
    double *square, *mean; // of results as the program holds them: mean square, and mean
} vl_nn_sample;

typedef struct vl_nn_stage {
    const vl_nn_form *form; // NULL: the input
    const char *label;
    vl_nn_base_kind kind;  // INPUT, SQUARE or COPY; the output is a COPY
    uint32_t n;            // elements
    const uint32_t *pixel; // by element: its number in the whole picture; NULL: the same
    vl_nn_grid grid;
    bool fold;            // one pixel a channel, as sums over the positions of its sources
    uint16_t level;       // of the result
    double *unit, *shift; // by channel
    double *bias;         // by element: of the map's result, as the program holds it
    double *usual, *mean; // by channel: root mean square, and mean, of the argument as the program holds it
    bool even;            // biases are the same at all pixels of a channel
    double most;          // |argument|, as the program holds it
    double *weight_most;  // by term: the largest |weight|, as the program holds them
    // By term: [channel of this][channel of the source], over pixels the largest sum of squared weights, number of
    // weights, and sum of the squares of the numbers of equal ones.
    double **gain, **count, **equal;
    vl_nn_sample *sample;
    vl_nn_slopes slopes; // mean over samples
} vl_nn_stage;

typedef struct vl_nn_pictures {
    vl_nn_lowered *l;
    uint32_t stages; // bases, then the output
    vl_nn_stage *stage;
    uint32_t samples;
    uint16_t depth;     // level of the input
    double answer_most; // |answer|
    double answer_size; // what answers reach: calibrated, else answer_most
} vl_nn_pictures;

// *fits says whether the model is of this kind; else a note says why, if it has pictures at all.
velum_status vl_nn_pictures_of(vl_nn_lowered *l, const vl_nn_graph *g, vl_nn_pictures *out, bool *fits);
// Units, shifts, biases, sizes; from calibration features (rows x columns) or, without, from ranges. *bounded false: a
// value has no bound, as a note says.
velum_status vl_nn_pictures_scale(vl_nn_pictures *p, const double *features, uint64_t rows, bool *bounded);
// Samples and slopes of all stages, of the first of the same rows. To be called by vl_nn_pictures_scale.
velum_status vl_nn_pictures_slopes(vl_nn_pictures *p, const double *features, uint64_t rows);
// What one of the program's numbers stands for, in the result of a stage: x = that (t - shift).
static inline double vl_nn_stage_worth(const vl_nn_stage *s, uint32_t channel) {
    return s->kind == VL_NN_BASE_SQUARE ? s->unit[channel] * s->unit[channel] : s->unit[channel];
}
double vl_nn_stage_most(const vl_nn_stage *s); // |result|, as the program holds it
static inline uint32_t vl_nn_stage_area(const vl_nn_stage *s) { return s->grid.height * s->grid.width; }
static inline uint32_t vl_nn_stage_pixel(const vl_nn_stage *s, uint32_t i) { return s->pixel ? s->pixel[i] : i; }

// ---- how values lie ----
typedef struct vl_nn_tiling {
    uint32_t phase_y, phase_x; // of the input
    uint32_t step_y;           // slots between rows of a phase of the input; 1 between columns
    uint32_t period;
} vl_nn_tiling;
// Of so many phases, powers of two; false: there are not so many, or too many positions are left.
bool vl_nn_tiling_of(const vl_nn_pictures *p, uint32_t phase_y, uint32_t phase_x, vl_nn_tiling *out);
// The layout of a stage's value: phases are dropped by strides; where there is one left, neighbours move apart.
vl_layout vl_nn_tiling_layout(const vl_nn_tiling *t, const vl_nn_stage *s, uint32_t slots, uint32_t parts);
// Rotations that sum a folded stage over the positions of its sources; at most VL_FOLD_MOST.
uint32_t vl_nn_tiling_folds(const vl_nn_tiling *t, const vl_nn_pictures *p, const vl_nn_stage *s,
                            int32_t rotation[VL_FOLD_MOST]);

// ---- linear maps (pictures_map.c) ----
typedef struct vl_nn_spread_size {
    vl_spread_cost cost;
    uint32_t sources, outputs, patterns;
} vl_nn_spread_size;
// Terms first .. first + count - 1 (at most 2) of a stage's form as one map; the first carries the bias. out NULL: its
// size only. turned, if given, has 2 period numbers: those of rotation + period - 1 are set for rotations that it
// takes. VELUM_E_LIMIT where it is too large for a spread map.
velum_status vl_nn_pictures_map(const vl_nn_pictures *p, const vl_nn_stage *s, const vl_nn_tiling *t, uint32_t parts,
                                uint32_t first, uint32_t count, vl_nn_spread_size *size, bool *turned, vl_spread *out);

// ---- parameters ----
typedef struct vl_nn_pictures_choice {
    vl_nn_tiling tiling;
    vl_nn_ring ring;
    uint32_t parts, lanes, scale_bits; // 2^scale_bits: scale of a square's argument
    uint32_t prime_bits, wider;        // of all primes but the base; the last so many have one more
    double total;                      // seconds of one group of `lanes` requests
    double score;                      // seconds for the batch, or a request without one
    double error, error_worst;         // expected of an answer: over samples; to the worst of them
    uint64_t memory, key_bytes;        // memory: ciphertexts, weights, scratch
    uint64_t rotations, products, cts; // cts: most in one value
} vl_nn_pictures_choice;
// The fastest that is precise enough (else the most precise), with this tiling or, if that is NULL, any. *found false:
// nothing fits.
velum_status vl_nn_pictures_choose(const vl_nn_pictures *p, const vl_nn_goal *goal, uint32_t precision_bits,
                                   const vl_nn_tiling *only, vl_nn_pictures_choice *best, bool *found);
static inline double vl_nn_pictures_prime(const vl_nn_pictures *p, const vl_nn_pictures_choice *c) { // mean log2
    return c->prime_bits + (double)c->wider / (p->depth - 1.0);
}
// log2 of the scale of a stage's argument by stage, and of its result: of copies (and answers, until they are masked)
// as large as leaves weights with less than 2^49. False: weights of squares do not fit.
bool vl_nn_pictures_bits(const vl_nn_pictures *p, const vl_nn_pictures_choice *c, double *argument, double *result);
// The deviation of an answer's error (pictures_error.c), over answers and samples: an estimate. patterned: share of
// products with a pattern.
double vl_nn_pictures_error(const vl_nn_pictures *p, const vl_nn_pictures_choice *c, const double *patterned);
// Over the answers to the sample where it is largest, and no less than over all: what is declared, since a request may
// be such a one.
double vl_nn_pictures_error_worst(const vl_nn_pictures *p, const vl_nn_pictures_choice *c, const double *patterned);
// Never exceeded but for the chance that noise does: the worst of all weights and values.
double vl_nn_pictures_bound(const vl_nn_pictures *p, const vl_nn_pictures_choice *c);
double vl_nn_pictures_answer_bits(const vl_nn_pictures *p); // scale of the answer
#define VL_NN_PICTURES_IN_BITS 46                           // scale of the input
#define VL_NN_PICTURES_COPY_BITS 40                         // of copies, at most

// Remarks: what was chosen, and what was not.
velum_status vl_nn_pictures_note(const vl_nn_pictures *p, const vl_nn_pictures_choice *c);
velum_status vl_nn_pictures_note_unchosen(vl_nn_lowered *l, const vl_nn_pictures_choice *c);
velum_status vl_nn_pictures_emit(const vl_nn_pictures *p, const vl_nn_graph *g, const vl_nn_pictures_choice *c,
                                 const velum_compile_options *opt, vl_program *out);

#endif
