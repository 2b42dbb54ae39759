// SPDX-License-Identifier: Apache-2.0
// The demo's folders: who holds what.
#include "demo.h"
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_folder(const char *path) {
    return mkdir(path, 0700) == 0 ? CLI_OK : cli_fail(CLI_OTHER, "%s: %s", path, strerror(errno));
}

int demo_place_make(const char *keep, demo_place *out) {
    *out = (demo_place){.keep = keep != NULL};
    if (keep) {
        if (strlen(keep) > 900) return cli_fail(CLI_USAGE, "demo: --keep: the name is too long");
        if (mkdir(keep, 0700) != 0 && errno != EEXIST) return cli_fail(CLI_OTHER, "%s: %s", keep, strerror(errno));
        char *full = realpath(keep, NULL);
        if (!full || strlen(full) >= sizeof out->root) {
            free(full);
            return cli_fail(CLI_OTHER, "%s: %s", keep, strerror(errno));
        }
        strcpy(out->root, full);
        free(full);
    } else {
        const char *temp = getenv("TMPDIR");
        snprintf(out->root, sizeof out->root, "%.900s/velum-demo-XXXXXX", temp && temp[0] == '/' ? temp : "/tmp");
        if (!mkdtemp(out->root)) return cli_fail(CLI_OTHER, "%s: %s", out->root, strerror(errno));
    }
    snprintf(out->client, sizeof out->client, "%s/client", out->root);
    snprintf(out->server, sizeof out->server, "%s/server", out->root);
    snprintf(out->check, sizeof out->check, "%s/check", out->root);
    int code = make_folder(out->client);
    if (code == CLI_OK) code = make_folder(out->server);
    if (code == CLI_OK) code = make_folder(out->check);
    if (code != CLI_OK) demo_place_remove(out);
    return code;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void demo_place_remove(const demo_place *place) {
    if (place->root[0] && !place->keep) nftw(place->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int join(char *out, const char *folder, const char *name) {
    return snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX ? CLI_OK
                                                                     : cli_fail(CLI_OTHER, "%s: name too long", name);
}

int demo_send(const char *from, const char *to, const char *name) {
    char source[PATH_MAX], target[PATH_MAX];
    cli_file file;
    int code = join(source, from, name);
    if (code == CLI_OK) code = join(target, to, name);
    if (code == CLI_OK) code = cli_file_read(source, CLI_MAX_KEYS, &file);
    if (code != CLI_OK) return code;
    code = cli_file_write(target, file.data, file.size);
    cli_file_free(&file);
    if (code == CLI_OK && unlink(source) != 0) code = cli_fail(CLI_OTHER, "%s: %s", source, strerror(errno));
    return code;
}

int64_t demo_size(const char *folder, const char *name) {
    char path[PATH_MAX];
    struct stat st;
    return join(path, folder, name) == CLI_OK && stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

// Fails if the folder has a file of one of the kinds (the three letters after "VELUM" in its head), or one that is no
// Velum file, unless it is a table.
static int check_folder(const char *folder, const char *forbidden, bool tables, const char *whose) {
    DIR *dir = opendir(folder);
    if (!dir) return cli_fail(CLI_OTHER, "%s: %s", folder, strerror(errno));
    int code = CLI_OK;
    for (struct dirent *e; code == CLI_OK && (e = readdir(dir));) {
        char path[PATH_MAX], head[9] = "";
        if (e->d_name[0] == '.' && (!e->d_name[1] || e->d_name[1] == '.')) continue;
        code = join(path, folder, e->d_name);
        FILE *f = code == CLI_OK ? fopen(path, "rb") : NULL;
        size_t n = f ? fread(head, 1, 8, f) : 0;
        if (f) fclose(f);
        const char *dot = strrchr(e->d_name, '.');
        bool ours = n == 8 && memcmp(head, "VELUM", 5) == 0,
             table = tables && dot && (strcmp(dot, ".csv") == 0 || strcmp(dot, ".npy") == 0);
        if (code == CLI_OK && ((!ours && !table) || (ours && strstr(forbidden, head + 5))))
            code = cli_fail(CLI_OTHER, "demo: the %s's folder holds %s, which it must not", whose, e->d_name);
    }
    closedir(dir);
    return code;
}

int demo_place_check(const demo_place *place) {
    int code = check_folder(place->server, "SEC", false, "server");
    return code == CLI_OK ? check_folder(place->client, "PRG EVK", true, "client") : code;
}
