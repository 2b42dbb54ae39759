// SPDX-License-Identifier: Apache-2.0
// Help, usage and version, derived from the table of commands.
#include "cli.h"
#include <stdio.h>
#include <string.h>
#include <velum/bench.h>

static const struct {
    const char *name, *argument, *help;
    char letter;
} options[] = {
#define X(id, name, letter, argument, help) {"--" name, argument, help, letter},
    CLI_OPTIONS(X)
#undef X
};
#define ALWAYS (CLI_BIT(THREADS) | CLI_BIT(JSON) | CLI_BIT(HELP))

void cli_print_usage(FILE *to) {
    fputs("Velum runs trained neural networks on encrypted data.\n\nusage: velum COMMAND [ARGUMENTS] [OPTIONS]\n\n",
          to);
    for (const cli_command *c = cli_commands; c->name; c++) fprintf(to, "  %-10s %s\n", c->name, c->summary);
    fputs("\nvelum help COMMAND tells more. First time? velum demo heart\n", to);
}

// "--input FILE", or "-o FILE" where there is a letter and it is shorter.
static void name_option(int i, char *out, size_t size) {
    const char *argument = options[i].argument;
    if (options[i].letter)
        snprintf(out, size, "-%c, %s%s%s", options[i].letter, options[i].name, argument ? " " : "",
                 argument ? argument : "");
    else
        snprintf(out, size, "%s%s%s", options[i].name, argument ? " " : "", argument ? argument : "");
}

static void usage_line(const cli_command *c, char *line, size_t size) {
    int at = snprintf(line, size, "velum %s%s%s", c->name, c->positional[0] ? " " : "", c->positional);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < CLI_OPTION_COUNT && at < (int)size; i++)
            if ((pass ? c->optional : c->required) & (1u << i)) {
                const char *argument = options[i].argument;
                at += snprintf(line + at, size - (size_t)at, " %s%s%s%s%s", pass ? "[" : "", options[i].name,
                               argument ? " " : "", argument ? argument : "", pass ? "]" : "");
            }
}

// Breaks the line between options.
static void print_usage_line(const char *line) {
    int column = printf("usage:");
    for (const char *at = line; *at;) {
        size_t n = strcspn(at, " ");
        if (at[n] && (at[0] == '-' || at[0] == '[')) n += 1 + strcspn(at + n + 1, " "); // with its argument
        if (column + (int)n > 100) column = printf("\n          ") - 1;
        column += printf(" %.*s", (int)n, at);
        at += n + (at[n] == ' ');
    }
    putchar('\n');
}

static void print_options(unsigned set) {
    for (int i = 0; i < CLI_OPTION_COUNT; i++)
        if (set & (1u << i)) {
            char name[64];
            name_option(i, name, sizeof name);
            printf("  %-22s %s\n", name, options[i].help);
        }
}

static void print_command(const cli_command *c) {
    char line[1024];
    usage_line(c, line, sizeof line);
    printf("velum %s: %s\n\n", c->name, c->summary);
    print_usage_line(line);
    printf("\n%s\n", c->text);
    if (c->required | c->optional) fputs("\nOptions\n", stdout);
    print_options(c->required);
    print_options(c->optional);
    fputs("\nOptions of every command\n", stdout);
    print_options(ALWAYS);
    printf("\nExample\n  %s\n\nExit status: 0 done, 2 wrong usage, 3 bad input, 4 refused as insecure or over a limit, "
           "1 anything else\n",
           c->example);
}

static json_t *options_json(const cli_command *c) {
    json_t *list = json_array();
    for (int i = 0; i < CLI_OPTION_COUNT; i++)
        if ((c->required | c->optional | ALWAYS) & (1u << i))
            json_array_append_new(list, json_pack("{s:s, s:s?, s:s, s:b}", "name", options[i].name, "argument",
                                                  options[i].argument, "help", options[i].help, "required",
                                                  (c->required >> i) & 1));
    return list;
}

static json_t *command_json(const cli_command *c) {
    char line[1024];
    usage_line(c, line, sizeof line);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "name", c->name, "summary", c->summary, "usage", line, "text",
                     c->text, "example", c->example, "options", options_json(c));
}

int cli_help(const cli_args *args) {
    const cli_command *only = NULL;
    if (args->positionals && !(only = cli_command_find(args->positional[0])))
        return cli_fail(CLI_USAGE, "help: no command '%s' (velum help lists them)", args->positional[0]);
    if (args->json) {
        if (only) return cli_print_json(command_json(only));
        json_t *list = json_array();
        for (const cli_command *c = cli_commands; c->name; c++) json_array_append_new(list, command_json(c));
        return cli_print_json(json_pack("{s:o}", "commands", list));
    }
    if (only)
        print_command(only);
    else
        cli_print_usage(stdout);
    return CLI_OK;
}

int cli_version(const cli_args *args) {
    if (args->json)
        return cli_print_json(json_pack("{s:s, s:s}", "version", velum_version(), "machine", velum_bench_machine()));
    printf("velum %s\n%s\n", velum_version(), velum_bench_machine());
    return CLI_OK;
}
