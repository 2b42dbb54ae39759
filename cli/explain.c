// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include <stdio.h>
#include <string.h>

// Passes of the compiler in their order; remarks that start with another word come last.
static const char *const passes[] = {"fold",    "fuse",       "ranges", "fit",    "placement",
                                     "packing", "parameters", "keys",   "memory", "other"};
#define PASSES (sizeof passes / sizeof *passes)

// The pass that a line belongs to; *text is what follows its name.
static size_t pass_of(const char *line, size_t n, const char **text) {
    for (size_t i = 0; i + 1 < PASSES; i++) {
        size_t length = strlen(passes[i]);
        if (n < length + 2 || strncmp(line, passes[i], length) != 0 || strncmp(line + length, ": ", 2) != 0) continue;
        *text = line + length + 2;
        return i;
    }
    *text = line;
    return PASSES - 1;
}

static json_t *passes_json(const char *notes) {
    json_t *o = json_object();
    for (size_t i = 0; i < PASSES; i++) json_object_set_new(o, passes[i], json_array());
    for (const char *at = notes, *text; *at;) {
        size_t n = strcspn(at, "\n"), pass = pass_of(at, n, &text);
        json_array_append_new(json_object_get(o, passes[pass]), json_stringn(text, n - (size_t)(text - at)));
        at += n + (at[n] == '\n');
    }
    return o;
}

static void print_passes(const char *notes) {
    for (size_t i = 0; i < PASSES; i++) {
        bool any = false;
        for (const char *at = notes, *text; *at;) {
            size_t n = strcspn(at, "\n");
            if (pass_of(at, n, &text) == i) {
                printf("%-11s %.*s\n", any ? "" : passes[i], (int)(n - (size_t)(text - at)), text);
                any = true;
            }
            at += n + (at[n] == '\n');
        }
    }
}

static int explain(const cli_args *args, const velum_program *p, const char *text, const char *notes) {
    if (args->json) {
        velum_info info;
        velum_program_info(p, &info);
        json_t *o = cli_info_json(&info);
        json_object_set_new(o, "text", json_string(text));
        json_object_set_new(o, "passes", passes_json(notes));
        return cli_print_json(o);
    }
    if (cli_has(args, CLI_PASSES))
        print_passes(notes);
    else
        fputs(text, stdout);
    return CLI_OK;
}

int cli_explain(const cli_args *args) {
    velum_program *p = NULL;
    velum_buffer text = {0}, notes = {0};
    int code = cli_open_program(args->positional[0], &p);
    if (code != CLI_OK) return code;
    velum_status status = velum_program_explain(p, &text);
    if (status == VELUM_OK) status = velum_program_notes(p, &notes);
    code = status == VELUM_OK ? explain(args, p, (const char *)text.data, (const char *)notes.data)
                              : cli_fail_status(status, args->positional[0]);
    velum_buffer_free(&text);
    velum_buffer_free(&notes);
    velum_program_free(p);
    return code;
}
