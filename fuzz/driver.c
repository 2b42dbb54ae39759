// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target without libFuzzer: over every file of a folder, then over random mutations of them.
//   fuzz_<target> FOLDER|FILE... [MUTATIONS]
// The seed is printed; VELUM_FUZZ_SEED repeats a run, and a crash leaves its input in fuzz-crash.bin.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_BYTES (1u << 20)
#define MAX_SECONDS 60 // of mutations

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

typedef struct input {
    uint8_t *data;
    size_t size;
} input;

static input *corpus;
static size_t corpus_size;
static const uint8_t *current;
static size_t current_size;

static void save_current(void) {
    int fd = open("fuzz-crash.bin", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return;
    if (write(fd, current, current_size) != (ssize_t)current_size) (void)!write(2, "cut short\n", 10);
    close(fd);
    (void)!write(2, "the input is in fuzz-crash.bin\n", 31);
}

static void on_signal(int number) {
    save_current();
    signal(number, SIG_DFL);
    raise(number);
}

// Each run gets its own copy of exactly its size, so that a sanitizer sees the first byte past it.
static void run(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) exit(1);
    if (size) memcpy(copy, data, size);
    current = copy;
    current_size = size;
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void add_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return;
    uint8_t *data = malloc(MAX_BYTES);
    input *more = realloc(corpus, (corpus_size + 1) * sizeof *corpus);
    if (!data || !more) exit(1);
    corpus = more;
    corpus[corpus_size++] = (input){data, fread(data, 1, MAX_BYTES, f)};
    fclose(f);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void add_path(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) return;
    if (!S_ISDIR(st.st_mode)) {
        add_file(path);
        return;
    }
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, by_name);
    for (int i = 0; i < count; i++) {
        char file[4096];
        if (entries[i]->d_name[0] != '.') {
            snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
            add_file(file);
        }
        free(entries[i]);
    }
    if (count >= 0) free(entries);
}

static uint64_t state;

static uint64_t draw(void) { // splitmix64
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t below(size_t bound) { return bound ? (size_t)(draw() % bound) : 0; }

static size_t mutate(uint8_t *data, size_t size) {
    static const uint64_t extremes[] = {0,      1,          0x7f,       0xff,      0x7fff,
                                        0xffff, 0x7fffffff, 0xffffffff, INT64_MAX, UINT64_MAX};
    size_t at = below(size), n;
    switch (draw() % 7) {
    case 0: // a bit
        if (size) data[at] ^= (uint8_t)(1u << below(8));
        return size;
    case 1: // a byte
        if (size) data[at] = (uint8_t)draw();
        return size;
    case 2: // cut off
        return at;
    case 3: // a piece out of the middle
        n = below(size - at < 64 ? size - at + 1 : 64);
        memmove(data + at, data + at + n, size - at - n);
        return size - n;
    case 4: // random bytes put in
        n = below(32);
        if (size + n > MAX_BYTES) return size;
        memmove(data + at + n, data + at, size - at);
        for (size_t i = 0; i < n; i++) data[at + i] = (uint8_t)draw();
        return size + n;
    case 5: // an extreme number
        n = (size_t)1 << below(4);
        if (at + n <= size) memcpy(data + at, &extremes[below(sizeof extremes / sizeof *extremes)], n);
        return size;
    default: // a piece of another input
        if (corpus_size) {
            const input *other = &corpus[below(corpus_size)];
            size_t from = below(other->size);
            n = below(other->size - from < size - at ? other->size - from : size - at);
            memcpy(data + at, other->data + from, n);
        }
        return size;
    }
}

int main(int argc, char **argv) {
    size_t mutations = 0;
    for (int i = 1; i < argc; i++) {
        char *end;
        size_t number = strtoull(argv[i], &end, 10);
        if (*argv[i] && !*end)
            mutations = number;
        else
            add_path(argv[i]);
    }
    const char *given = getenv("VELUM_FUZZ_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    printf("%zu files, %zu mutations, seed %llu\n", corpus_size, mutations, (unsigned long long)seed);
    fflush(stdout);
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(save_current);
    } else {
        signal(SIGSEGV, on_signal);
        signal(SIGBUS, on_signal);
        signal(SIGFPE, on_signal);
    }
    signal(SIGABRT, on_signal);

    run(NULL, 0);
    for (size_t i = 0; i < corpus_size; i++) run(corpus[i].data, corpus[i].size);
    uint8_t *data = malloc(MAX_BYTES);
    if (!data) return 1;
    time_t start = time(NULL);
    size_t done = 0;
    for (; done < mutations && time(NULL) - start < MAX_SECONDS; done++) {
        state = seed + done; // each input by itself follows from the seed
        (void)draw();
        size_t size = 0;
        if (corpus_size) {
            const input *from = &corpus[below(corpus_size)];
            memcpy(data, from->data, size = from->size);
        }
        for (size_t times = 1 + below(4); times; times--) size = mutate(data, size);
        run(data, size);
    }
    printf("%zu inputs run\n", corpus_size + 1 + done);
    free(data);
    for (size_t i = 0; i < corpus_size; i++) free(corpus[i].data);
    free(corpus);
    return 0;
}
