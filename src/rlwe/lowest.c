// SPDX-License-Identifier: Apache-2.0
#include "rlwe/lowest.h"

#include "rlwe/keys.h"
#include "rlwe/ringswitch.h"

#include <inttypes.h>
#include <string.h>

bool vl_lowest_is_smaller(const vl_lowest *want, const vl_params *p) {
    return want->count && want->low->log_n < p->literal.log_n;
}

void vl_lowest_keys_free(vl_lowest_keys *keys) {
    if (!keys) return;
    vl_encapsulation_free(&keys->raise);
    vl_eval_keys_free(&keys->low);
    vl_params_free(keys->low_params);
    vl_eval_keys_free(&keys->entry);
    vl_params_free(keys->entry_params);
    *keys = (vl_lowest_keys){0};
}

// ---- generation ----
static velum_status new_params(const vl_params *p, const vl_lowest *want, vl_lowest_keys *out) {
    if (want->count) VL_TRY(vl_params_new(want->low, p->ring.kernels, &out->low_params));
    if (!vl_lowest_is_smaller(want, p)) return VELUM_OK;
    vl_params_literal entry = vl_ringswitch_entry(want->low, p->literal.log_n);
    return vl_params_new(&entry, p->ring.kernels, &out->entry_params);
}

// Makes the keys, or with w writes them. `made` holds the parameters.
static velum_status make(vl_exec *x, const vl_params *p, const vl_secret_key *sk, const vl_lowest *want,
                         const vl_ringswitch_secret *sub, const vl_secret_key *low_secret, vl_writer *w,
                         vl_lowest_keys *made) {
    VL_TRY(vl_encapsulation_new(x, p, sk, sub->wide, &want->raise, &made->raise));
    if (w) {
        vl_encapsulation_save(&made->raise, w);
        vl_encapsulation_free(&made->raise);
    }
    if (made->entry_params) {
        VL_TRY(vl_ringswitch_key_new(x, made->entry_params, sk, sub, &made->entry));
        if (w) vl_eval_keys_save(&made->entry, w);
    }
    if (!made->low_params) return VELUM_OK;
    if (w) return vl_eval_keys_write(x, made->low_params, low_secret, want->keys, want->count, 0, w);
    return vl_eval_keys_generate(x, made->low_params, low_secret, want->keys, want->count, 0, &made->low);
}

static velum_status make_all(vl_exec *x, const vl_params *p, const vl_secret_key *sk, const vl_lowest *want,
                             vl_writer *w, vl_lowest_keys *made) {
    VL_TRY(new_params(p, want, made));
    vl_ringswitch_secret sub = {0};
    vl_secret_key same = {.coeffs = sk->coeffs}; // the main secret over fewer primes
    velum_status status = VELUM_OK;
    if (made->entry_params)
        status = vl_ringswitch_secret_new(made->low_params, p->literal.log_n, &sub);
    else if (made->low_params)
        status = vl_keys_expand_secret(made->low_params, &same);
    if (status == VELUM_OK) status = make(x, p, sk, want, &sub, made->entry_params ? &sub.small : &same, w, made);
    vl_ringswitch_secret_free(&sub);
    vl_secret_free(same.s.x);
    return status;
}

velum_status vl_lowest_keys_new(vl_exec *x, const vl_params *p, const vl_secret_key *sk, const vl_lowest *want,
                                vl_lowest_keys *out) {
    vl_lowest_keys made = {0};
    velum_status status = make_all(x, p, sk, want, NULL, &made);
    if (status != VELUM_OK) {
        vl_lowest_keys_free(&made);
        return status;
    }
    *out = made;
    return VELUM_OK;
}

velum_status vl_lowest_keys_write(vl_exec *x, const vl_params *p, const vl_secret_key *sk, const vl_lowest *want,
                                  vl_writer *w) {
    vl_lowest_keys made = {0};
    velum_status status = make_all(x, p, sk, want, w, &made);
    vl_lowest_keys_free(&made);
    return status == VELUM_OK ? vl_writer_status(w) : status;
}

// ---- saved ----
size_t vl_lowest_keys_bytes(const vl_params *p, const vl_lowest *want) {
    size_t bytes = vl_encapsulation_saved_bytes(p, want->raise.level, want->raise.sums);
    if (!want->count) return bytes;
    bytes += vl_keys_saved_bytes(want->low, want->keys, want->count, 0);
    if (!vl_lowest_is_smaller(want, p)) return bytes;
    vl_params_literal entry = vl_ringswitch_entry(want->low, p->literal.log_n);
    vl_key_request one = vl_ringswitch_request(want->low);
    return bytes + vl_keys_saved_bytes(&entry, &one, 1, 0);
}

void vl_lowest_keys_save(const vl_lowest_keys *keys, vl_writer *w) {
    vl_encapsulation_save(&keys->raise, w);
    if (keys->entry_params) vl_eval_keys_save(&keys->entry, w);
    if (keys->low_params) vl_eval_keys_save(&keys->low, w);
}

// Just what is wanted.
static velum_status check_keys(const vl_eval_keys *keys, const vl_key_request *want, uint32_t count, const char *what) {
    for (uint32_t i = 0; i < count; i++) {
        const vl_switch_key *key = vl_eval_keys_find(keys, want[i].galois);
        VL_FAIL_IF(!key || key->nq < want[i].level, VELUM_E_MISMATCH,
                   "bootstrap keys: the key of %s for element %" PRIu64 " at level %u is missing", what, want[i].galois,
                   want[i].level);
    }
    VL_FAIL_IF(keys->count != count || keys->zero_nq, VELUM_E_MISMATCH, "bootstrap keys: %u keys of %s, %u are needed",
               keys->count, what, count);
    return VELUM_OK;
}

static velum_status load_raise(vl_exec *x, const vl_params *p, vl_reader *r, const vl_lowest *want,
                               vl_encapsulation *raise) {
    VL_TRY(vl_encapsulation_load(x, p, r, raise));
    const vl_encapsulation_shape *is = &raise->shape, *must = &want->raise;
    VL_FAIL_IF(
        is->level != must->level || is->weight != must->weight || is->subring != must->subring, VELUM_E_MISMATCH,
        "bootstrap keys: an encapsulation key of weight %u in the powers of X^%u for level %u, weight %u, X^%u and "
        "level %u are needed",
        is->weight, is->subring, is->level, must->weight, must->subring, must->level);
    VL_FAIL_IF(!vl_encapsulation_same_shape(is, must), VELUM_E_MISMATCH,
               "bootstrap keys: a raise with %u rotations by %d, %u by %d are needed", is->sums, is->step, must->sums,
               must->step);
    return VELUM_OK;
}

static velum_status load(vl_exec *x, const vl_params *p, vl_reader *r, const vl_lowest *want, vl_lowest_keys *made) {
    VL_TRY(load_raise(x, p, r, want, &made->raise));
    VL_TRY(new_params(p, want, made));
    if (made->entry_params) {
        vl_key_request one = vl_ringswitch_request(want->low);
        VL_TRY(vl_eval_keys_load(x, made->entry_params, r, &made->entry));
        VL_TRY(check_keys(&made->entry, &one, 1, "ring switching"));
    }
    if (!made->low_params) return VELUM_OK;
    VL_TRY(vl_eval_keys_load(x, made->low_params, r, &made->low));
    return check_keys(&made->low, want->keys, want->count, "SlotsToCoeffs");
}

velum_status vl_lowest_keys_load(vl_exec *x, const vl_params *p, vl_reader *r, const vl_lowest *want,
                                 vl_lowest_keys *out) {
    vl_lowest_keys made = {0};
    velum_status status = load(x, p, r, want, &made);
    if (status != VELUM_OK) {
        vl_lowest_keys_free(&made);
        return status;
    }
    *out = made;
    return VELUM_OK;
}
