// SPDX-License-Identifier: Apache-2.0
// What every operation leaves, from the server to who has the secret key: the same as in the clear, up to the first
// operation that a server computes otherwise.
#include "client/session.h"
#include "runtime/program_api.h"

#define LAYERS 8
#define ROWS 9
#define WIDEST 8
#define NEAR 0x1p-20

typedef struct values { // of all layers, by row
    double v[LAYERS][ROWS][WIDEST];
    uint32_t rows[LAYERS], columns[LAYERS];
    char name[LAYERS][256];
} values;

static void keep(void *user, uint32_t layer, const char *name, uint64_t row, const double *v, uint64_t count) {
    values *to = user;
    assert_true(layer < LAYERS && row < ROWS && count <= WIDEST);
    snprintf(to->name[layer], sizeof to->name[layer], "%s", name);
    to->columns[layer] = (uint32_t)count;
    to->rows[layer]++;
    memcpy(to->v[layer][row], v, count * sizeof *v);
}

typedef struct reader { // decrypts what it is given
    const session *s;
    velum_layer layer;
    values *to;
    uint32_t pieces;
} reader;

static int take(void *arg, const void *data, size_t size) {
    reader *r = arg;
    const session *s = r->s;
    assert_int_equal(velum_client_decrypt_layer(s->client, s->secret.data, s->secret.size, data, size, &r->layer),
                     VELUM_OK);
    r->pieces++;
    const velum_layer *l = &r->layer;
    if (l->taken < l->pieces) return 0;
    for (uint32_t k = 0; k < l->rows; k++)
        keep(r->to, l->layer, l->name, l->first + k, l->values + (size_t)k * l->columns, l->columns);
    return 0;
}

static void run(const session *s, values *encrypted, values *clear) {
    reader r = {.s = s, .to = encrypted};
    velum_buffer query = session_query(s, 0, ROWS), answer;
    assert_int_equal(velum_server_infer_layers(s->server, query.data, query.size, take, &r, &answer), VELUM_OK);
    velum_layer_free(&r.layer);
    velum_table in = session_rows(0, ROWS), out;
    assert_int_equal(velum_program_simulate_layers(s->program, &in, keep, clear, &out), VELUM_OK);
    velum_table_free(&out);
    free(in.values);
    velum_buffer_free(&query);
    velum_buffer_free(&answer);
}

// The number of the first layer that is off by more than NEAR; LAYERS: none.
static uint32_t first_off(const session *s, const values *a, const values *b) {
    for (uint32_t i = 0; i < s->plain.op_count; i++) {
        assert_int_equal(a->rows[i], ROWS);
        assert_int_equal(b->rows[i], ROWS);
        assert_int_equal(a->columns[i], b->columns[i]);
        assert_string_equal(a->name[i], s->plain.ops[i].name);
        for (uint32_t r = 0; r < ROWS; r++)
            for (uint32_t k = 0; k < a->columns[i]; k++)
                if (!(fabs(a->v[i][r][k] - b->v[i][r][k]) < NEAR)) return i;
    }
    return LAYERS;
}

static const build_options nets[] = {{.net = BUILD_NETWORK},
                                     {.net = BUILD_NETWORK, .lanes = 4},
                                     {.net = BUILD_SPREAD},
                                     {.net = BUILD_BRANCHES, .lanes = 2},
                                     {.net = BUILD_CHEBYSHEV}};
#define NETS (sizeof nets / sizeof *nets)

static void layers_are_those_in_the_clear(void **state) {
    (void)state;
    for (size_t n = 0; n < NETS; n++) {
        static values encrypted, clear;
        session s;
        session_init(&s, &nets[n]);
        encrypted = clear = (values){0};
        run(&s, &encrypted, &clear);
        assert_int_equal(first_off(&s, &encrypted, &clear), LAYERS);
        session_clear(&s);
    }
}

// The server computes with another number than the program that the simulation runs: it is the layer with that number
// which is found, whichever it is.
static void the_layer_that_departs_is_found(void **state) {
    (void)state;
    for (size_t n = 0; n < NETS; n++)
        for (uint32_t wrong = 0, tried = 0; wrong < LAYERS; wrong++) {
            static values encrypted, clear;
            session s;
            session_init(&s, &nets[n]);
            velum_program *other;
            assert_int_equal(velum_program_open(s.program_file.data, s.program_file.size, &other), VELUM_OK);
            vl_op *op = wrong < s.plain.op_count ? &other->program.ops[wrong] : NULL;
            if (op && (op->weights || op->coeffs)) {
                *(op->weights ? op->weights : op->coeffs) += 1.0 / 4;
                velum_server_free(s.server);
                assert_int_equal(velum_server_new(other, s.keys.data, s.keys.size, 2, &s.server), VELUM_OK);
                encrypted = clear = (values){0};
                run(&s, &encrypted, &clear);
                assert_int_equal(first_off(&s, &encrypted, &clear), wrong);
                tried++;
            }
            velum_server_free(s.server);
            s.server = NULL;
            velum_program_free(other);
            session_clear(&s);
            if (wrong == LAYERS - 1) assert_true(tried >= 2);
        }
}

// Noise in the clear: one seed, one result; of the size that encryption leaves, in every layer.
static void noise_is_as_expected(void **state) {
    (void)state;
    static values encrypted, clear, noisy[3];
    session s;
    session_init(&s, &nets[3]);
    encrypted = clear = (values){0};
    run(&s, &encrypted, &clear);
    velum_table in = session_rows(0, ROWS), out;
    for (uint32_t i = 0; i < 3; i++) {
        noisy[i] = (values){0};
        assert_int_equal(velum_program_simulate_noisy(s.program, &in, i / 2, keep, &noisy[i], &out), VELUM_OK);
        velum_table_free(&out);
    }
    assert_memory_equal(&noisy[0], &noisy[1], sizeof *noisy);
    for (uint32_t i = 0; i < s.plain.op_count; i++) {
        double expected = 0, found = 0, other = 0;
        for (uint32_t r = 0; r < ROWS; r++)
            for (uint32_t k = 0; k < clear.columns[i]; k++) {
                expected += pow(noisy[0].v[i][r][k] - clear.v[i][r][k], 2);
                other += pow(noisy[2].v[i][r][k] - noisy[0].v[i][r][k], 2);
                found += pow(encrypted.v[i][r][k] - clear.v[i][r][k], 2);
            }
        assert_true(expected > 0 && other > 0);
        if (!(found < 64 * expected && expected < 1024 * found))
            fail_msg("'%s': deviation 2^%.1f, expected 2^%.1f", clear.name[i], log2(found) / 2, log2(expected) / 2);
    }
    free(in.values);
    session_clear(&s);
}

// ---- pieces that do not fit ----
typedef struct pile { // pieces as they came
    velum_buffer piece[16];
    uint32_t count, refuse_at;
} pile;

static int pile_up(void *arg, const void *data, size_t size) {
    pile *p = arg;
    if (p->count == p->refuse_at) return 1;
    assert_true(p->count < 16);
    velum_buffer view = {(uint8_t *)(uintptr_t)data, size};
    p->piece[p->count++] = session_copy(&view);
    return 0;
}

static pile pieces_of(const session *s, uint64_t rows) {
    pile p = {.refuse_at = UINT32_MAX};
    velum_buffer query = session_query(s, 0, rows), answer;
    assert_int_equal(velum_server_infer_layers(s->server, query.data, query.size, pile_up, &p, &answer), VELUM_OK);
    session_check(s, &answer, 0, rows);
    velum_buffer_free(&answer);
    velum_buffer_free(&query);
    return p;
}

static void pile_clear(pile *p) {
    for (uint32_t i = 0; i < p->count; i++) free(p->piece[i].data);
}

static velum_status give(const session *s, const velum_buffer *piece, velum_layer *layer) {
    return velum_client_decrypt_layer(s->client, s->secret.data, s->secret.size, piece->data, piece->size, layer);
}

static void order_is_kept(void **state) {
    (void)state;
    session s;
    session_init(&s, &nets[2]); // a ciphertext a feature: 8, 8 and 2 pieces, the last two not kept
    pile p = {.refuse_at = 16};
    velum_buffer query = session_query(&s, 0, 3), answer = {NULL, 77};
    assert_refused(velum_server_infer_layers(s.server, query.data, query.size, pile_up, &p, &answer), VELUM_E_IO,
                   "'last/Gemm' could not be handed out");
    assert_true(!answer.data && answer.size == 77);
    velum_layer layer = {0}, before;
    assert_refused(give(&s, &p.piece[1], &layer), VELUM_E_MISMATCH, "ciphertext 1 of 8 is out of order");
    assert_null(layer.values);
    assert_int_equal(give(&s, &p.piece[0], &layer), VELUM_OK);
    before = layer;
    const uint32_t others[] = {0, 2, 8, 9};
    for (uint32_t i = 0; i < 4; i++) {
        assert_refused(give(&s, &p.piece[others[i]], &layer), VELUM_E_MISMATCH, "out of order");
        assert_memory_equal(&before, &layer, sizeof layer);
    }
    for (uint32_t i = 1; i < 9; i++) assert_int_equal(give(&s, &p.piece[i], &layer), VELUM_OK);
    assert_int_equal(layer.layer, 1);
    assert_int_equal(layer.taken, 1);
    assert_int_equal(layer.pieces, 8);
    assert_int_equal(layer.rows, 3);
    velum_layer_free(&layer);
    assert_null(layer.values);
    velum_layer_free(NULL);
    velum_buffer_free(&query);
    pile_clear(&p);
    session_clear(&s);
}

static void damage_and_mix_ups_are_refused(void **state) {
    (void)state;
    session s, other, renewed;
    velum_layer layer = {0};
    velum_buffer secret, keys;
    session_init(&s, &nets[1]);
    session_init(&other, &(build_options){.net = BUILD_NETWORK, .seed = 7});
    pile p = pieces_of(&s, 2);
    assert_int_equal(p.count, 4);
    velum_buffer *piece = &p.piece[0];
    for (size_t at = 0; at < piece->size; at += 1 + at / 32) {
        piece->data[at] ^= 4;
        assert_int_not_equal(give(&s, piece, &layer), VELUM_OK);
        piece->data[at] ^= 4;
        velum_buffer cut = {piece->data, at};
        assert_int_equal(give(&s, &cut, &layer), VELUM_E_FORMAT);
    }
    assert_refused(give(&other, piece, &layer), VELUM_E_MISMATCH, "layer: made for another program");
    assert_int_equal(velum_client_keygen(s.client, &secret, &keys), VELUM_OK);
    renewed = s;
    renewed.secret = secret;
    assert_refused(give(&renewed, piece, &layer), VELUM_E_MISMATCH, "layer: made under another key");
    velum_buffer answer = session_answer(&s, 0, 1);
    assert_refused(give(&s, &answer, &layer), VELUM_E_FORMAT, "this is an answer, not a layer's result");
    velum_table t;
    assert_refused(session_decrypt(&s, piece, 0, &t), VELUM_E_FORMAT, "this is a layer's result, not an answer");
    assert_null(layer.values);
    velum_buffer_free(&answer);
    velum_buffer_free_secret(&secret);
    velum_buffer_free(&keys);
    pile_clear(&p);
    session_clear(&s);
    session_clear(&other);
}

static void forged_pieces_are_refused(void **state) {
    (void)state;
    session s;
    session_init(&s, &nets[1]);
    pile p = pieces_of(&s, 2);
    const size_t op = VL_KEY_ID_BYTES, rows = op + 4, first = rows + 4, ct = first + 8, layout = ct + 4,
                 name = layout + VL_LAYOUT_BYTES, cipher = name + 2 + strlen("first/Gemm");
    const struct {
        size_t at;
        uint32_t value, bytes;
        const char *words;
    } cases[] = {
        {rows, 0, 4, "rows 0 to 0"},          {rows, 5, 4, "rows 0 to 5 of 4 lanes"},
        {first + 4, 1, 4, "rows 4294967296"}, {ct, 1, 4, "ciphertext 1 of 1"},
        {layout, 64, 4, "64 slots"},          {layout + 4, 9, 4, "layout: 9 features"},
        {layout + 16, 9, 4, "layout: 9"},     {name, 0xffff, 2, "bad name"},
        {name + 2, 1, 1, "bad name"},         {cipher, 1, 1, "a seeded one"},
        {cipher + 2, 99, 2, "level 99"},      {cipher + 1, 2, 1, "ciphertext: cut short"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        velum_layer layer = {0};
        velum_buffer copy = session_copy(&p.piece[0]);
        memcpy(copy.data + VL_FRAME_HEAD + cases[i].at, &cases[i].value, cases[i].bytes);
        build_reseal(copy.data, copy.size);
        velum_status status = give(&s, &copy, &layer);
        if (status != VELUM_E_FORMAT || !strstr(velum_last_error(), cases[i].words))
            fail_msg("case %zu: %d, '%s' lacks '%s'", i, (int)status, velum_last_error(), cases[i].words);
        assert_null(layer.values);
        velum_buffer_free(&copy);
    }
    pile_clear(&p);
    session_clear(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_those_in_the_clear),  cmocka_unit_test(the_layer_that_departs_is_found),
        cmocka_unit_test(noise_is_as_expected),           cmocka_unit_test(order_is_kept),
        cmocka_unit_test(damage_and_mix_ups_are_refused), cmocka_unit_test(forged_pieces_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
