// SPDX-License-Identifier: Apache-2.0
// What the commands share: their declaration, parsed arguments, failure, and texts for people and for scripts.
//
// A command returns its exit code. It fails through cli_fail, which writes the one line on stderr; with --json, main
// also prints that line as {"error": ..., "exit": ...}.
#ifndef VELUM_CLI_CLI_H
#define VELUM_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <velum/velum.h>

enum { CLI_OK = 0, CLI_OTHER = 1, CLI_USAGE = 2, CLI_BAD_INPUT = 3, CLI_REFUSED = 4 };

// Every option of every command. X(id, long name, short name or 0, argument or NULL, help)
#define CLI_OPTIONS(X)                                                                                                 \
    X(OUTPUT, "output", 'o', "FILE", "where the result goes")                                                          \
    X(CALIBRATION, "calibration", 0, "TABLE", "inputs to find value ranges with (CSV, NPY, NPZ)")                      \
    X(TARGET, "target", 0, "WHAT", "latency: one request, soonest; throughput: many (default with --batch)")           \
    X(BATCH, "batch", 0, "N", "requests in one go (default: 1, or as many as fit with --target throughput)")           \
    X(MEMORY, "memory", 0, "SIZE", "ceiling for the server's memory, such as 512M or 16G (default 16G)")               \
    X(SECURITY, "security", 0, "BITS", "128 (default), 192 or 256")                                                    \
    X(PRECISION, "precision", 0, "BITS", "that approximated activations are good for, 4 to 24 (default 12)")           \
    X(KEYS, "keys", 0, "SIZE", "ceiling for the evaluation keys on the server, such as 2G (default: none)")            \
    X(NO_MEASURE, "no-measure", 0, NULL, "take built-in prices instead of this machine's: the same plan everywhere")   \
    X(PASSES, "passes", 0, NULL, "the compiler's remarks, pass by pass")                                               \
    X(TOLERANCE, "tolerance", 0, "ERROR",                                                                              \
      "the departure that is allowed, such as 0.001 (default: as declared, 2^-7 at most)")                             \
    X(SECRET, "secret", 0, "FILE", "the secret key: stays with the client")                                            \
    X(EVAL, "eval", 0, "FILE", "the evaluation keys: go to the server")                                                \
    X(INPUT, "input", 0, "FILE", "what to work on")                                                                    \
    X(CHECKPOINT, "checkpoint", 0, "DIR", "keep a long run's checkpoints there (default: beside the output)")          \
    X(CHECKPOINT_EVERY, "checkpoint-every", 0, "SECONDS", "at least so long between two (default: 20, or more)")       \
    X(NO_CHECKPOINT, "no-checkpoint", 0, NULL, "keep none, and start over")                                            \
    X(STRICT, "strict", 0, NULL, "refuse inputs beyond what the program was calibrated for")                           \
    X(FORCE, "force", 0, NULL, "replace what is there: a secret key, measured prices")                                 \
    X(SHARE, "share", 0, "BITS", "noise of BITS statistical bits: the numbers may then be shown to others")            \
    X(MODELS, "models", 0, "DIR", "the folder of the demos' models (default: beside the command, or $VELUM_MODELS)")   \
    X(DATA, "data", 0, "DIR", "the folder of public data sets (default: $VELUM_DATA; without it no metric)")           \
    X(KEEP, "keep", 0, "DIR", "leave the client's and the server's folders there")                                     \
    X(FILTER, "filter", 0, "RE", "only names that match this extended regular expression")                             \
    X(THREADS, "threads", 0, "N", "worker threads (default: all cores)")                                               \
    X(JSON, "json", 0, NULL, "print one JSON object on stdout")                                                        \
    X(HELP, "help", 'h', NULL, "print this text")

typedef enum cli_option {
#define X(id, name, letter, argument, help) CLI_##id,
    CLI_OPTIONS(X)
#undef X
        CLI_OPTION_COUNT
} cli_option;
#define CLI_BIT(id) (1u << CLI_##id)

typedef struct cli_args {
    const struct cli_command *command;
    const char *value[CLI_OPTION_COUNT]; // NULL: not given; "" for a flag
    const char *positional[2];
    unsigned positionals;
    unsigned threads; // 0: all cores
    bool json;
} cli_args;

typedef struct cli_command {
    const char *name, *positional, *summary; // positional: as in the usage line, "" if none
    unsigned min_positionals, max_positionals;
    unsigned required, optional; // CLI_BIT sets; --threads, --json and --help go with every command
    const char *text;            // for `velum help NAME`
    const char *example;
    int (*run)(const cli_args *args);
} cli_command;

extern const cli_command cli_commands[]; // ends with a NULL name
const cli_command *cli_command_find(const char *name);

int cli_compile(const cli_args *args);
int cli_explain(const cli_args *args);
int cli_simulate(const cli_args *args);
int cli_keygen(const cli_args *args);
int cli_encrypt(const cli_args *args);
int cli_infer(const cli_args *args);
int cli_decrypt(const cli_args *args);
int cli_demo(const cli_args *args);
int cli_check(const cli_args *args);
int cli_prices(const cli_args *args);
int cli_bench(const cli_args *args);
int cli_help(const cli_args *args);
int cli_version(const cli_args *args);

// ---- arguments (args.c) ----
// CLI_OK, or CLI_USAGE after saying what is wrong. argv[0] is the command's name.
int cli_args_parse(const cli_command *command, int argc, char **argv, cli_args *out);
static inline bool cli_has(const cli_args *args, cli_option option) { return args->value[option] != NULL; }
// Values of options: unchanged *out if the option was not given, CLI_USAGE if it makes no sense.
int cli_number(const cli_args *args, cli_option option, uint64_t lo, uint64_t hi, uint64_t *out);
int cli_size(const cli_args *args, cli_option option, uint64_t *out);
int cli_positive(const cli_args *args, cli_option option, double *out); // a positive decimal number
const char *cli_option_name(cli_option option);                         // "--input"

// ---- failure (say.c) ----
__attribute__((format(printf, 2, 3))) int cli_fail(int code, const char *format, ...);
// The library's last error, with the name of the file in front (NULL: none).
int cli_fail_status(velum_status status, const char *file);
__attribute__((format(printf, 1, 2))) void cli_note(const char *format, ...); // one line on stderr
const char *cli_last_failure(void);                                           // "" if none

__attribute__((format(printf, 1, 2))) void cli_warn(const char *format, ...); // the same, of what may be wrong

// ---- texts ----
typedef struct cli_text {
    char s[40];
} cli_text;
cli_text cli_bytes(uint64_t bytes);    // "61.4 MB"
cli_text cli_seconds(double seconds);  // "12.3 ms"
cli_text cli_error_bits(double error); // "2^-21.3"
double cli_now(void);
// A line on the terminal for what takes longer than a second; nothing elsewhere. One at a time.
void cli_progress_start(const char *what);
// Other words for what runs, and how many seconds are left, as far as one can tell (0: no telling); they count down.
void cli_progress_say(const char *what, double left);
void cli_progress_stop(void);
// Prints the object on stdout and releases it. NULL: out of memory.
int cli_print_json(json_t *object);
// The program's figures, for --json.
json_t *cli_info_json(const velum_info *info);
// An object's numbers as JSON; null for what is not finite.
json_t *cli_real(double v);

// ---- help (help.c) ----
void cli_print_usage(FILE *to);

#endif
