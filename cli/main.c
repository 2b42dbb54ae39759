// SPDX-License-Identifier: Apache-2.0
// The command's table: help texts, usage errors and the parser derive from it.
#include "cli.h"
#include "files.h"
#include <stdio.h>
#include <string.h>

const cli_command cli_commands[] = {
    {
        "demo",
        "[NAME]",
        "from nothing to an encrypted answer, in one command",
        0,
        1,
        0,
        CLI_BIT(MODELS) | CLI_BIT(DATA) | CLI_BIT(KEEP) | CLI_BIT(BATCH) | CLI_BIT(OUTPUT),
        "Runs a whole round with a model that comes with Velum: a client and a server, each a process of its own in\n"
        "a folder of its own, and compares the decrypted answers with the model in the clear. Without a name, lists\n"
        "the demos. The folders are removed afterwards unless --keep names a place for them. The demo cifar10 takes\n"
        "--batch pictures (default 32; real ones where there is the data set) and writes a page with them to --output.",
        "velum demo heart",
        cli_demo,
    },
    {
        "compile",
        "MODEL.onnx",
        "turn a trained network into a program for encrypted data",
        1,
        1,
        CLI_BIT(OUTPUT),
        CLI_BIT(CALIBRATION) | CLI_BIT(TARGET) | CLI_BIT(BATCH) | CLI_BIT(MEMORY) | CLI_BIT(SECURITY) |
            CLI_BIT(PRECISION) | CLI_BIT(KEYS) | CLI_BIT(NO_MEASURE),
        "Chooses packing, levels and secure parameters, and writes two files: M.velum, for the server, with the\n"
        "weights; and M.client.velum, for the client: what to enter, how it is encrypted, which keys are needed.\n"
        "Activations are fitted to a range. It comes from bounds in the model (a Clip, or velum.range metadata) or "
        "from\n"
        "--calibration: a few hundred ordinary inputs, whose reach is doubled. `velum explain` prints each range and "
        "the\n"
        "error of its fit. Inputs that leave the ranges get wrong answers without a warning. Plans are compared by "
        "what\n"
        "this machine takes, measured once and then kept (see velum help prices).",
        "velum compile heart.onnx --calibration rows.csv -o heart.velum",
        cli_compile,
    },
    {
        "explain",
        "M.velum",
        "what a program does: layers, levels, keys, time, memory",
        1,
        1,
        0,
        CLI_BIT(PASSES),
        "Prints the parameters with their security, the inputs that are accepted, and every operation with its\n"
        "packing, level, key uses and estimated time. With --passes: what each pass of the compiler remarked.",
        "velum explain heart.velum",
        cli_explain,
    },
    {
        "simulate",
        "M.velum|MODEL.onnx",
        "run a program in the clear, to compare with",
        1,
        1,
        CLI_BIT(INPUT),
        CLI_BIT(OUTPUT),
        "Runs the same program on plain numbers, with its packing, levels and scales, and prints the answers that\n"
        "encrypted inference approximates: the difference is what encryption costs. Of an ONNX file it runs the model\n"
        "itself, in double precision: the difference is what fitted activations cost. The input is a CSV with a "
        "header,\n"
        "an NPY or an NPZ, as for encrypt; one row a request.",
        "velum simulate heart.velum --input patients.csv",
        cli_simulate,
    },
    {
        "check",
        "MODEL.onnx M.velum",
        "compare a model, its program and encrypted inference, layer by layer",
        2,
        2,
        CLI_BIT(INPUT),
        CLI_BIT(SECRET) | CLI_BIT(EVAL) | CLI_BIT(TOLERANCE),
        "Runs the model in the clear and the program's simulation on the same inputs, and names the first layer that\n"
        "departs by more than the tolerance, and the node of the model that computes it. A layer is compared up to a\n"
        "scale and a shift of each element, since programs hold scaled values: a fault of that kind alone shows in\n"
        "the operation behind it. With --secret and --eval also runs the encrypted program, here and with your\n"
        "own keys, decrypts what every layer leaves, and compares it with the simulation and with the noise that is\n"
        "to be expected there. Exit status 1 if anything departs.",
        "velum check heart.onnx heart.velum --input patients.csv",
        cli_check,
    },
    {
        "keygen",
        "M.client.velum",
        "make a client's secret key and the server's evaluation keys",
        1,
        1,
        CLI_BIT(SECRET) | CLI_BIT(EVAL),
        CLI_BIT(FORCE),
        "Writes the secret key, readable by its owner alone, and the evaluation keys that let the server compute on\n"
        "this client's data without being able to read it. An existing secret key is kept unless --force is given.",
        "velum keygen heart.client.velum --secret my.key --eval my.evk",
        cli_keygen,
    },
    {
        "encrypt",
        "M.client.velum",
        "encrypt inputs into a query",
        1,
        1,
        CLI_BIT(SECRET) | CLI_BIT(INPUT) | CLI_BIT(OUTPUT),
        CLI_BIT(STRICT),
        "The input is a CSV whose header names the model's inputs, in any order (other columns are left out), or an\n"
        "NPY whose first axis is the requests, or an NPZ: one array an input, or a single array as in an\n"
        "NPY. An input x of several numbers is the columns x_0, x_1 and so on, or in an NPZ one array x. Raw values:\n"
        "the program normalises and codes them. One row a request. A value far beyond what the program was calibrated\n"
        "for is encrypted with a warning, as the answer may be wrong; with --strict it is refused.",
        "velum encrypt heart.client.velum --secret my.key --input patients.csv -o query.ct",
        cli_encrypt,
    },
    {
        "infer",
        "M.velum",
        "answer an encrypted query (the server's part)",
        1,
        1,
        CLI_BIT(EVAL) | CLI_BIT(INPUT) | CLI_BIT(OUTPUT),
        CLI_BIT(CHECKPOINT) | CLI_BIT(CHECKPOINT_EVERY) | CLI_BIT(NO_CHECKPOINT),
        "Needs the program, the client's evaluation keys and the query; sees no input, no answer and no secret. A run\n"
        "that is expected to take more than a minute keeps checkpoints in ANSWER.part: if it is killed, the same\n"
        "command goes on from the last one. The file goes when the answer is written. With --checkpoint any run keeps\n"
        "them, as DIR/ANSWER.part.",
        "velum infer heart.velum --eval my.evk --input query.ct -o answer.ct",
        cli_infer,
    },
    {
        "decrypt",
        "M.client.velum",
        "open an answer",
        1,
        1,
        CLI_BIT(SECRET) | CLI_BIT(INPUT),
        CLI_BIT(OUTPUT) | CLI_BIT(SHARE),
        "Prints the answers as a table, or writes them with -o as CSV or, if the name ends in .npy, as NPY. Keep the\n"
        "numbers to yourself, or give --share: exact results, shown together with their ciphertexts, reveal\n"
        "something of the key.",
        "velum decrypt heart.client.velum --secret my.key --input answer.ct -o risk.csv",
        cli_decrypt,
    },
    {
        "bench",
        "",
        "time the core's operations on this machine",
        0,
        0,
        0,
        CLI_BIT(FILTER),
        "Minimum and median wall time of transforms (for every kernel family of this processor) and of CKKS\n"
        "operations on secure parameters. With one thread figures are comparable between machines.",
        "velum bench --filter 'rotate|mul_relin' --threads 1",
        cli_bench,
    },
    {
        "prices",
        "",
        "what this machine takes for what operations are made of",
        0,
        0,
        0,
        CLI_BIT(OUTPUT) | CLI_BIT(FORCE) | CLI_BIT(NO_MEASURE),
        "Prints the list that velum compile compares plans and predicts times with: measured once, in a second or "
        "two,\n"
        "and kept in $XDG_CACHE_HOME/velum (or ~/.cache/velum); --force measures again. A list written with -o and\n"
        "named in $VELUM_PRICES is used in place of it, on any machine; VELUM_PRICES=builtin stands for --no-measure.",
        "velum prices",
        cli_prices,
    },
    {
        "version",
        "",
        "print the version",
        0,
        0,
        0,
        0,
        "Prints the version of the command and its library, and what it found of this processor.",
        "velum version",
        cli_version,
    },
    {
        "help",
        "[COMMAND]",
        "print help on a command",
        0,
        1,
        0,
        0,
        "Without a command, lists them.",
        "velum help encrypt",
        cli_help,
    },
    {0},
};

const cli_command *cli_command_find(const char *name) {
    for (const cli_command *c = cli_commands; c->name; c++)
        if (strcmp(c->name, name) == 0) return c;
    return NULL;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        cli_print_usage(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0) name = "version";
    const cli_command *command = cli_command_find(name);
    if (!command) return cli_fail(CLI_USAGE, "no command '%s' (velum help lists them)", name);
    cli_args args;
    int code = cli_args_parse(command, argc - 1, argv + 1, &args);
    if (code != CLI_OK) return code;
    if (cli_has(&args, CLI_HELP)) {
        args.positional[0] = command->name;
        args.positionals = 1;
        return cli_help(&args);
    }
    return command->run(&args);
}

static bool wants_json(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0) return true;
    return false;
}

int main(int argc, char **argv) {
    cli_files_start();
    int code = run(argc, argv);
    cli_progress_stop();
    if (code != CLI_OK && cli_last_failure()[0] && wants_json(argc, argv))
        (void)cli_print_json(json_pack("{s:s, s:i}", "error", cli_last_failure(), "exit", code));
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == CLI_OK)
        code = cli_fail(CLI_OTHER, "writing to stdout failed");
    return code;
}
