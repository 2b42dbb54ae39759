// SPDX-License-Identifier: Apache-2.0
#include "objects.h"
#include <stdio.h>

int cli_explain(const cli_args *args) {
    velum_program *p = NULL;
    velum_buffer text = {0};
    int code = cli_open_program(args->positional[0], &p);
    if (code != CLI_OK) return code;
    velum_status status = velum_program_explain(p, &text);
    if (status != VELUM_OK) {
        code = cli_fail_status(status, args->positional[0]);
    } else if (args->json) {
        velum_info info;
        velum_program_info(p, &info);
        json_t *o = cli_info_json(&info);
        json_object_set_new(o, "text", json_string((const char *)text.data));
        code = cli_print_json(o);
    } else {
        fputs((const char *)text.data, stdout);
    }
    velum_buffer_free(&text);
    velum_program_free(p);
    return code;
}
