// SPDX-License-Identifier: Apache-2.0
#include "prices.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_BYTES 65536

// Where this machine's list is kept: false where there is no place.
static bool cache_path(char *out, size_t size) {
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char name[17];
    int n = -1;
    velum_prices_fingerprint(name);
    if (base && base[0] == '/')
        n = snprintf(out, size, "%s/velum/prices-%s", base, name);
    else if (home && home[0] == '/')
        n = snprintf(out, size, "%s/.cache/velum/prices-%s", home, name);
    return n > 0 && (size_t)n < size;
}

// The folders above a file.
static bool make_folders(const char *path) {
    char folder[PATH_MAX];
    if ((size_t)snprintf(folder, sizeof folder, "%s", path) >= sizeof folder) return false;
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        bool there = mkdir(folder, 0700) == 0 || errno == EEXIST;
        *slash = '/';
        if (!there) return false;
    }
    return true;
}

// Keeping a list is a convenience: where it fails, the next run measures again.
static void keep(const char *path, const cli_file *list) {
    char temp[PATH_MAX];
    if (!make_folders(path) || snprintf(temp, sizeof temp, "%s.%ld", path, (long)getpid()) >= (int)sizeof temp) return;
    FILE *f = fopen(temp, "wbx");
    if (!f) return;
    bool written = fwrite(list->data, 1, list->size, f) == list->size;
    if (fclose(f) != 0 || !written || rename(temp, path) != 0) unlink(temp);
}

static int measure(cli_file *out) {
    velum_buffer list = {0};
    cli_progress_start("measuring this machine");
    velum_status status = velum_prices_measure(&list);
    cli_progress_stop();
    if (status != VELUM_OK) return cli_fail_status(status, NULL);
    *out = (cli_file){.data = malloc(list.size), .size = list.size};
    if (out->data) memcpy(out->data, list.data, list.size);
    velum_buffer_free(&list);
    return out->data ? CLI_OK : cli_fail(CLI_OTHER, "out of memory");
}

static int read_list(const char *path, cli_file *out) {
    int code = cli_file_read(path, MOST_BYTES, out);
    if (code != CLI_OK) return code;
    velum_status status = velum_prices_check(out->data, out->size);
    if (status == VELUM_OK) return CLI_OK;
    cli_file_free(out);
    return cli_fail_status(status, path);
}

// What was measured before; a damaged file is measured anew.
static bool take_kept(const char *path, cli_file *out) {
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    *out = (cli_file){.data = malloc(MOST_BYTES)};
    if (out->data) out->size = fread(out->data, 1, MOST_BYTES, f);
    fclose(f);
    if (out->data && velum_prices_check(out->data, out->size) == VELUM_OK) return true;
    cli_file_free(out);
    return false;
}

static int kept_or_measured(bool anew, cli_file *out) {
    char path[PATH_MAX];
    bool place = cache_path(path, sizeof path);
    if (place && !anew && take_kept(path, out)) return CLI_OK;
    int code = measure(out);
    if (code == CLI_OK && place) keep(path, out);
    return code;
}

int cli_prices_load(const cli_args *args, cli_file *out) {
    const char *given = getenv("VELUM_PRICES");
    *out = (cli_file){0};
    if (cli_has(args, CLI_NO_MEASURE)) return CLI_OK;
    if (!given || !given[0]) return kept_or_measured(false, out);
    return strcmp(given, "builtin") == 0 ? CLI_OK : read_list(given, out);
}

// ---- velum prices ----
// The list's lines as an object: numbers where they are numbers.
static json_t *list_json(const cli_file *list) {
    json_t *o = json_object();
    const char *at = (const char *)list->data, *end = at + list->size;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at)), *space = memchr(at, ' ', (size_t)(end - at));
        if (!line_end || !space || space > line_end) break;
        char name[64], value[128], *rest;
        snprintf(name, sizeof name, "%.*s", (int)(space - at), at);
        snprintf(value, sizeof value, "%.*s", (int)(line_end - space - 1), space + 1);
        unsigned long long number = strtoull(value, &rest, 10);
        bool price = rest != value && strcmp(rest, " fs") == 0;
        if (strcmp(name, "velum") != 0 && strcmp(name, "check") != 0)
            json_object_set_new(o, name, price ? json_real((double)number * 1e-15) : json_string(value));
        at = line_end + 1;
    }
    return o;
}

int cli_prices(const cli_args *args) {
    cli_file list = {0};
    velum_buffer text = {0};
    int code = CLI_OK;
    if (cli_has(args, CLI_NO_MEASURE)) {
        velum_status status = velum_prices_builtin(&text);
        if (status != VELUM_OK) return cli_fail_status(status, NULL);
        list = (cli_file){.data = text.data, .size = text.size};
    } else {
        code = kept_or_measured(cli_has(args, CLI_FORCE), &list);
    }
    if (code == CLI_OK && cli_has(args, CLI_OUTPUT))
        code = cli_file_write(args->value[CLI_OUTPUT], list.data, list.size);
    if (code == CLI_OK && args->json)
        code = cli_print_json(list_json(&list));
    else if (code == CLI_OK && !cli_has(args, CLI_OUTPUT))
        fwrite(list.data, 1, list.size, stdout);
    if (text.data)
        velum_buffer_free(&text);
    else
        cli_file_free(&list);
    return code;
}
