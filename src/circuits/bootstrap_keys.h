// SPDX-License-Identifier: Apache-2.0
// A bootstrap's own keys in files: those beside plan->keys[0 .. key_count), which lie with a program's evaluation keys.
#ifndef VELUM_CIRCUITS_BOOTSTRAP_KEYS_H
#define VELUM_CIRCUITS_BOOTSTRAP_KEYS_H

#include "circuits/bootstrap.h"

// What the plan wants of rlwe/lowest.h; points into the plan.
vl_lowest vl_bootstrap_lowest(const vl_bootstrap_plan *plan);
// As saved by w at a multiple of 64 bytes from its start.
size_t vl_bootstrap_keys_bytes(const vl_bootstrap_plan *plan, const vl_params *p);
void vl_bootstrap_keys_save(const vl_bootstrap_keys *keys, vl_writer *w);
// What vl_bootstrap_keys_new and vl_bootstrap_keys_save would write, with only the encapsulation key in memory.
velum_status vl_bootstrap_keys_write(vl_exec *x, const vl_bootstrap_plan *plan, const vl_params *p,
                                     const vl_secret_key *sk, vl_writer *w);
// VELUM_E_MISMATCH: made for other parameters, another weight or level, or not the keys that the plan lists;
// VELUM_E_INSECURE: a key outside the table; VELUM_E_FORMAT: cut short, counts, residues. Counts are checked before
// memory is taken. From lasting bytes the halves b are borrowed, see vl_eval_keys_load.
velum_status vl_bootstrap_keys_load(vl_exec *x, const vl_bootstrap_plan *plan, const vl_params *p, vl_reader *r,
                                    vl_bootstrap_keys *out);

#endif
