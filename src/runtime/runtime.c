// SPDX-License-Identifier: Apache-2.0
// A run: operation after operation, from the start or from where another one was.
#include "base/clock.h"
#include "runtime/internal.h"

typedef struct running {
    const vl_runtime *r;
    const vl_run_options *o;
    vl_held *values;
    uint32_t first, next; // operations: where it began, and which is at hand
    double begin;
    double before; // predicted seconds of what it has done
} running;

static double rate_of(const running *run, double part) {
    double predicted = run->before, seconds = vl_now() - run->begin;
    if (part > 0) predicted += part * run->r->program->ops[run->next].seconds;
    return predicted > 0 && run->next + part > run->first ? seconds / predicted : 1;
}

// What is left by the predicted times, scaled by how the operations so far did.
static void tell(void *arg, double part) {
    const running *run = arg;
    const vl_program *p = run->r->program;
    const vl_progress *progress = run->o->progress;
    if (!progress) return;
    double after = run->next < p->op_count ? -part * p->ops[run->next].seconds : 0;
    for (uint32_t i = run->next; i < p->op_count; i++) after += p->ops[i].seconds;
    progress->report(progress->arg, run->next, p->op_count, vl_now() - run->begin, after * rate_of(run, part));
}

static velum_status run_all(running *run, vl_exec *x, vl_op_work *step) {
    const vl_program *program = run->r->program;
    const vl_run_options *o = run->o;
    run->begin = vl_now();
    run->next = run->first;
    if (o->begin) o->begin(o->arg);
    tell(run, 0);
    while (run->next < program->op_count) {
        const uint32_t i = step->index = run->next;
        double start = vl_now();
        VL_TRY(vl_runtime_execute(step, x));
        if (o->op_seconds) o->op_seconds[i] += vl_now() - start;
        const vl_held *made = &run->values[program->ops[i].dst];
        if (o->probe) VL_TRY(o->probe(o->arg, i, made->ct, made->count));
        run->before += program->ops[i].seconds;
        run->next++;
        tell(run, 0);
        const vl_run_state state = {run->r, run->values, run->next, rate_of(run, 0)};
        if (o->between && run->next < program->op_count) VL_TRY(o->between(o->arg, &state));
    }
    return VELUM_OK;
}

static velum_status take_input(running *run, vl_ciphertext *in) {
    const vl_value *value = &run->r->program->values[0];
    vl_held *input = &run->values[0];
    input->ct = vl_alloc_array(value->layout.cts, sizeof *input->ct);
    VL_FAIL_IF(!input->ct, VELUM_E_NOMEM, "run: inputs");
    input->count = value->layout.cts;
    input->owned = run->o->takes_input;
    for (uint32_t i = 0; i < input->count; i++) {
        input->ct[i] = in[i];
        if (input->owned)
            in[i] = (vl_ciphertext){0};
        else
            input->ct[i].block = NULL;
        input->ct[i].scale = value->scale; // equal within 2^-40
    }
    return VELUM_OK;
}

static velum_status restore(running *run, vl_exec *x) {
    VL_TRY(vl_run_restore(run->r, x, run->o->resume, run->values, &run->first));
    if (run->r->lives.last[0] < run->first) vl_held_release(&run->values[0]);
    return VELUM_OK;
}

static velum_status give(const vl_held *answer, vl_exec *x, const vl_eval_keys *keys, vl_ciphertext *out) {
    for (uint32_t i = 0; i < answer->count; i++) VL_TRY(vl_rlwe_rerandomise(x, keys, &answer->ct[i], 0));
    for (uint32_t i = 0; i < answer->count; i++) {
        out[i] = answer->ct[i];
        answer->ct[i] = (vl_ciphertext){0};
    }
    return VELUM_OK;
}

velum_status vl_runtime_run_with(const vl_runtime *r, vl_exec *x, const vl_eval_keys *keys,
                                 const vl_bootstrap_keys *own, vl_ciphertext *in, vl_ciphertext *out,
                                 const vl_run_options *o) {
    const vl_program *program = r->program;
    vl_held *values = vl_alloc_array(program->value_count, sizeof *values);
    VL_FAIL_IF(!values, VELUM_E_NOMEM, "run: %u values", program->value_count);
    running run = {.r = r, .o = o, .values = values};
    vl_op_work step = {.r = r, .keys = keys, .own = own, .values = values, .tell = tell, .tell_arg = &run};
    velum_status status = take_input(&run, in);
    if (status == VELUM_OK && o->resume) status = restore(&run, x);
    if (status == VELUM_OK) status = run_all(&run, x, &step);
    if (status == VELUM_OK) status = give(&values[program->output], x, keys, out);
    for (uint32_t i = 0; i < program->value_count; i++) vl_held_release(&values[i]);
    vl_free(values);
    return status;
}

velum_status vl_runtime_run(const vl_runtime *r, vl_exec *x, const vl_eval_keys *keys, const vl_bootstrap_keys *own,
                            const vl_ciphertext *in, vl_ciphertext *out, double *op_seconds,
                            const vl_progress *progress) {
    const vl_run_options o = {.op_seconds = op_seconds, .progress = progress};
    return vl_runtime_run_with(r, x, keys, own, (vl_ciphertext *)in, out, &o); // left as they are
}
