// SPDX-License-Identifier: Apache-2.0
// Arguments: options before or after positionals, --name value or --name=value, -oFILE or -o FILE, -- ends options.
#include "cli.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    char letter;
    bool takes;
} options[] = {
#define X(id, name, letter, argument, help) {"--" name, letter, (argument) != NULL},
    CLI_OPTIONS(X)
#undef X
};
#define ALWAYS (CLI_BIT(THREADS) | CLI_BIT(JSON) | CLI_BIT(HELP))

const char *cli_option_name(cli_option option) { return options[option].name; }

// The option that `arg` names, and where its value starts if it is in the same argument.
static int find_option(const char *arg, const char **value) {
    *value = NULL;
    if (arg[1] != '-') {
        for (int i = 0; i < CLI_OPTION_COUNT; i++)
            if (options[i].letter && options[i].letter == arg[1]) {
                if (arg[2]) *value = arg + 2;
                return i;
            }
        return -1;
    }
    size_t length = strcspn(arg, "=");
    if (arg[length]) *value = arg + length + 1;
    for (int i = 0; i < CLI_OPTION_COUNT; i++)
        if (strlen(options[i].name) == length && strncmp(arg, options[i].name, length) == 0) return i;
    return -1;
}

// Takes the option at argv[*at].
static int take_option(const cli_command *command, int argc, char **argv, int *at, cli_args *out) {
    const char *value, *arg = argv[*at];
    int option = find_option(arg, &value);
    if (option < 0 || !((command->required | command->optional | ALWAYS) & (1u << option)))
        return cli_fail(CLI_USAGE, "%s: unknown option '%.*s' (see velum help %s)", command->name,
                        (int)(arg[1] == '-' ? strcspn(arg, "=") : 2), arg, command->name);
    if (out->value[option]) return cli_fail(CLI_USAGE, "%s: %s is given twice", command->name, options[option].name);
    if (!options[option].takes) {
        if (value) return cli_fail(CLI_USAGE, "%s: %s takes no value", command->name, options[option].name);
        out->value[option] = "";
        return CLI_OK;
    }
    if (!value && ++*at < argc) value = argv[*at];
    if (!value || !value[0]) return cli_fail(CLI_USAGE, "%s: %s wants a value", command->name, options[option].name);
    out->value[option] = value;
    return CLI_OK;
}

static int check_complete(const cli_command *command, const cli_args *args) {
    if (args->positionals < command->min_positionals)
        return cli_fail(CLI_USAGE, "%s: %s is missing (see velum help %s)", command->name, command->positional,
                        command->name);
    for (int i = 0; i < CLI_OPTION_COUNT; i++)
        if ((command->required & (1u << i)) && !args->value[i])
            return cli_fail(CLI_USAGE, "%s: %s is missing (see velum help %s)", command->name, options[i].name,
                            command->name);
    return CLI_OK;
}

int cli_args_parse(const cli_command *command, int argc, char **argv, cli_args *out) {
    *out = (cli_args){.command = command};
    bool only_positionals = false;
    for (int i = 1; i < argc; i++) {
        if (!only_positionals && strcmp(argv[i], "--") == 0) {
            only_positionals = true;
        } else if (!only_positionals && argv[i][0] == '-' && argv[i][1]) {
            int code = take_option(command, argc, argv, &i, out);
            if (code != CLI_OK) return code;
        } else {
            if (out->positionals == command->max_positionals)
                return cli_fail(CLI_USAGE, "%s: one argument too many: '%s' (see velum help %s)", command->name,
                                argv[i], command->name);
            out->positional[out->positionals++] = argv[i];
        }
    }
    out->json = cli_has(out, CLI_JSON);
    if (cli_has(out, CLI_HELP)) return CLI_OK;
    int code = check_complete(command, out);
    uint64_t threads = 0;
    if (code == CLI_OK) code = cli_number(out, CLI_THREADS, 1, 1024, &threads);
    out->threads = (unsigned)threads;
    return code;
}

int cli_number(const cli_args *args, cli_option option, uint64_t lo, uint64_t hi, uint64_t *out) {
    const char *text = args->value[option];
    if (!text) return CLI_OK;
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || errno || v < lo || v > hi)
        return cli_fail(CLI_USAGE, "%s: %s wants a whole number from %llu to %llu, not '%s'", args->command->name,
                        options[option].name, (unsigned long long)lo, (unsigned long long)hi, text);
    *out = v;
    return CLI_OK;
}

int cli_positive(const cli_args *args, cli_option option, double *out) {
    const char *text = args->value[option];
    if (!text) return CLI_OK;
    char *end;
    double v = strtod(text, &end);
    if (*end || !isfinite(v) || v <= 0)
        return cli_fail(CLI_USAGE, "%s: %s wants a positive number, not '%s'", args->command->name,
                        options[option].name, text);
    *out = v;
    return CLI_OK;
}

int cli_size(const cli_args *args, cli_option option, uint64_t *out) {
    static const char units[] = "KMGT";
    const char *text = args->value[option];
    if (!text) return CLI_OK;
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    const char *rest = unit ? end + 1 : end;
    if (unit && rest[0] == 'i') rest++;
    if (rest[0] == 'B') rest++;
    if (!isdigit((unsigned char)text[0]) || *rest || errno || v == 0 || v > (UINT64_MAX >> 1 >> shift))
        return cli_fail(CLI_USAGE, "%s: %s wants a size such as 512M or 16G, not '%s'", args->command->name,
                        options[option].name, text);
    *out = (uint64_t)v << shift;
    return CLI_OK;
}
