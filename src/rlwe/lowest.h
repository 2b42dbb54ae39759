// SPDX-License-Identifier: Apache-2.0
// What a bootstrap needs for its lowest levels beside the keys of the chain, in terms of this layer alone: the keys of
// the raise, the keys of its transform there, which has parameters of its own (`low`), and where those are of a smaller
// ring the key that leads there. See circuits/bootstrap.h.
#ifndef VELUM_RLWE_LOWEST_H
#define VELUM_RLWE_LOWEST_H

#include "rlwe/encapsulate.h"

typedef struct vl_lowest {
    vl_encapsulation_shape raise;
    const vl_params_literal *low; // the chain's prefix; where there are no keys for it: not looked at
    const vl_key_request *keys;
    uint32_t count;
} vl_lowest;

typedef struct vl_lowest_keys {
    vl_encapsulation raise;
    vl_params *low_params; // NULL: no keys
    vl_eval_keys low;
    vl_params *entry_params; // NULL: low's ring is that of the chain
    vl_eval_keys entry;      // see rlwe/ringswitch.h
} vl_lowest_keys;

bool vl_lowest_is_smaller(const vl_lowest *want, const vl_params *p); // has low a smaller ring?
// Every key is checked against the security table at its own modulus and secret: VELUM_E_INSECURE.
velum_status vl_lowest_keys_new(vl_exec *x, const vl_params *p, const vl_secret_key *sk, const vl_lowest *want,
                                vl_lowest_keys *out);
void vl_lowest_keys_free(vl_lowest_keys *keys);
// Saved: the raise, the entry, the low keys, each in its own form; as saved by w at a multiple of 64 bytes from its
// start.
size_t vl_lowest_keys_bytes(const vl_params *p, const vl_lowest *want);
void vl_lowest_keys_save(const vl_lowest_keys *keys, vl_writer *w);
// What vl_lowest_keys_new and vl_lowest_keys_save would write, never all of it in memory.
velum_status vl_lowest_keys_write(vl_exec *x, const vl_params *p, const vl_secret_key *sk, const vl_lowest *want,
                                  vl_writer *w);
// VELUM_E_MISMATCH: made for other parameters, another weight or level, or not the keys that are wanted;
// VELUM_E_INSECURE: a key outside the table; VELUM_E_FORMAT: cut short, counts, residues. Counts are checked before
// memory is taken. From lasting bytes the halves b are borrowed, see vl_eval_keys_load.
velum_status vl_lowest_keys_load(vl_exec *x, const vl_params *p, vl_reader *r, const vl_lowest *want,
                                 vl_lowest_keys *out);

#endif
