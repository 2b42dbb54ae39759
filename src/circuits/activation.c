// SPDX-License-Identifier: Apache-2.0
#include "circuits/activation.h"

#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define SQRT_HALF 0.70710678118654752440
#define SQRT_2_OVER_PI 0.79788456080286535588

const char *vl_activation_name(vl_activation f) {
    static const char *const names[] = {
#define X(constant, name, what) name,
        VL_ACTIVATION_LIST(X)
#undef X
    };
    return names[f];
}

bool vl_activation_find(const char *name, vl_activation *out) {
    for (uint32_t i = 0; i < VL_ACTIVATIONS; i++)
        if (strcmp(name, vl_activation_name(i)) == 0) {
            *out = i;
            return true;
        }
    return false;
}

// ---- the functions ----

static double clip(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }
// log(1 + exp x) without overflow
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }

double vl_activation_eval(vl_activation f, double alpha, double x) {
    if (alpha == 0) alpha = f == VL_ACTIVATION_LEAKY_RELU ? 0.01 : 1;
    switch (f) {
    case VL_ACTIVATION_SIGMOID: return (1 + tanh(x / 2)) / 2;
    case VL_ACTIVATION_TANH: return tanh(x);
    case VL_ACTIVATION_SILU: return x * (1 + tanh(x / 2)) / 2;
    case VL_ACTIVATION_GELU: return x * (1 + erf(x * SQRT_HALF)) / 2;
    case VL_ACTIVATION_GELU_TANH: return x * (1 + tanh(SQRT_2_OVER_PI * (x + 0.044715 * x * x * x))) / 2;
    case VL_ACTIVATION_SOFTPLUS: return softplus(alpha * x) / alpha;
    case VL_ACTIVATION_MISH: return x * tanh(softplus(x));
    case VL_ACTIVATION_ELU: return x > 0 ? x : alpha * expm1(x);
    case VL_ACTIVATION_SELU: return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x));
    case VL_ACTIVATION_CELU: return x > 0 ? x : alpha * expm1(x / alpha);
    case VL_ACTIVATION_RELU: return fmax(x, 0);
    case VL_ACTIVATION_LEAKY_RELU: return x > 0 ? x : alpha * x;
    case VL_ACTIVATION_RELU6: return clip(x, 0, 6);
    case VL_ACTIVATION_HARD_SIGMOID: return clip(x / 6 + 0.5, 0, 1);
    case VL_ACTIVATION_HARD_SWISH: return x * clip(x / 6 + 0.5, 0, 1);
    case VL_ACTIVATION_SOFTSIGN: return x / (1 + fabs(x));
    case VL_ACTIVATION_EXP: return exp(x);
    case VL_ACTIVATION_LOG: return log(x);
    case VL_ACTIVATION_INVERSE: return 1 / x;
    case VL_ACTIVATION_SQRT: return sqrt(x);
    case VL_ACTIVATION_INVERSE_SQRT: return 1 / sqrt(x);
    case VL_ACTIVATION_ERF: return erf(x);
    case VL_ACTIVATION_SIN: return sin(x);
    case VL_ACTIVATION_COS: return cos(x);
    case VL_ACTIVATIONS: break;
    }
    assert(!"an activation");
    return NAN;
}

// ---- fitting ----

// Whether the polynomial is within `error` everywhere on a coarse grid: cheap, and most degrees that are too low
// show it soon.
static bool passes(vl_function f, const void *arg, const vl_polynomial *p, double error) {
    const uint32_t points = 1021, stride = 389; // a full cycle in a scattered order
    for (uint32_t i = 0, k = 0; i < points; i++, k = (k + stride) % points) {
        double x = p->lo + (p->hi - p->lo) * k / (points - 1);
        if (!(fabs(f(x, arg) - vl_polynomial_eval(p, x)) <= error)) return false;
    }
    return true;
}

static velum_status fit_to_error(vl_function f, const void *arg, const vl_activation_options *o, double *c,
                                 uint32_t *degree, double *reached) {
    uint32_t last = o->max_degree ? o->max_degree : VL_POLY_MAX_DEGREE;
    for (uint32_t d = 1; d <= last; d++) {
        VL_TRY(vl_chebyshev_fit(f, arg, o->lo, o->hi, d, c, NULL));
        vl_polynomial p = {.basis = VL_CHEBYSHEV, .degree = d, .lo = o->lo, .hi = o->hi, .c = c};
        if (d < last && !passes(f, arg, &p, o->error)) continue;
        VL_TRY(vl_chebyshev_fit(f, arg, o->lo, o->hi, d, c, reached));
        *degree = d;
        if (*reached <= o->error) return VELUM_OK;
    }
    return VL_FAIL(VELUM_E_LIMIT, "no fit to within %g on [%g, %g]: degree %u is off by %g", o->error, o->lo, o->hi,
                   last, *reached);
}

static velum_status check(const vl_activation_options *o) {
    VL_FAIL_IF((o->degree > 0) == (o->error != 0), VELUM_E_VALUE, "a fit wants a degree or an error");
    VL_FAIL_IF(o->degree == 0 && !(o->error > 0 && isfinite(o->error)), VELUM_E_VALUE, "a fit to within %g", o->error);
    VL_FAIL_IF(!(o->lo < o->hi) || !isfinite(o->lo) || !isfinite(o->hi), VELUM_E_VALUE,
               "a fit on the interval [%g, %g]", o->lo, o->hi);
    uint32_t most = o->degree > o->max_degree ? o->degree : o->max_degree;
    VL_FAIL_IF(most > VL_POLY_MAX_DEGREE, VELUM_E_LIMIT, "a fit of degree %u: at most %u", most, VL_POLY_MAX_DEGREE);
    return VELUM_OK;
}

velum_status vl_fit_function(vl_function f, const void *arg, const vl_activation_options *o, vl_fit *out) {
    VL_TRY(check(o));
    double c[VL_POLY_MAX_DEGREE + 1], error = INFINITY;
    uint32_t degree = o->degree;
    if (degree > 0)
        VL_TRY(vl_chebyshev_fit(f, arg, o->lo, o->hi, degree, c, &error));
    else
        VL_TRY(fit_to_error(f, arg, o, c, &degree, &error));
    double *own = vl_alloc_array(degree + 1, sizeof *own);
    VL_FAIL_IF(!own, VELUM_E_NOMEM, "%u coefficients", degree + 1);
    memcpy(own, c, (degree + 1) * sizeof *own);
    *out = (vl_fit){{VL_CHEBYSHEV, degree, o->lo, o->hi, own}, error, own};
    return VELUM_OK;
}

typedef struct activation_arg {
    vl_activation f;
    double alpha;
} activation_arg;

static double eval(double x, const void *arg) {
    const activation_arg *a = arg;
    return vl_activation_eval(a->f, a->alpha, x);
}

static velum_status check_domain(vl_activation f, const vl_activation_options *o) {
    VL_FAIL_IF(!isfinite(o->alpha), VELUM_E_VALUE, "%s with alpha %g", vl_activation_name(f), o->alpha);
    bool below = o->lo < 0, zero = o->lo <= 0 && o->hi >= 0, bad = false;
    if (f == VL_ACTIVATION_INVERSE) bad = zero;
    if (f == VL_ACTIVATION_LOG || f == VL_ACTIVATION_INVERSE_SQRT) bad = below || zero;
    if (f == VL_ACTIVATION_SQRT) bad = below;
    VL_FAIL_IF(bad, VELUM_E_VALUE, "%s is not defined on all of [%g, %g]", vl_activation_name(f), o->lo, o->hi);
    return VELUM_OK;
}

velum_status vl_activation_fit(vl_activation f, const vl_activation_options *options, vl_fit *out) {
    VL_TRY(check(options));
    VL_TRY(check_domain(f, options));
    activation_arg arg = {f, options->alpha};
    return vl_fit_function(eval, &arg, options, out);
}

void vl_fit_free(vl_fit *fit) {
    vl_free(fit->c);
    *fit = (vl_fit){.c = NULL};
}
