// SPDX-License-Identifier: Apache-2.0
// Pictures on a terminal and on a page.
#include "demo_pictures.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACROSS 3 // pictures beside each other on a terminal

static const uint8_t *picture(const demo_pictures *p, uint64_t i) { return p->pixel + i * PICTURE_BYTES; }

// ---- terminal: two pixels a character ----
static void print_line(const uint8_t *pixel, unsigned y) {
    for (unsigned x = 0; x < PICTURE_SIDE; x++) {
        const uint8_t *top = pixel + y * PICTURE_SIDE + x, *low = top + PICTURE_SIDE;
        printf("\033[38;2;%u;%u;%um\033[48;2;%u;%u;%um\u2580", top[0], top[PICTURE_PIXELS], top[2 * PICTURE_PIXELS],
               low[0], low[PICTURE_PIXELS], low[2 * PICTURE_PIXELS]);
    }
    fputs("\033[0m  ", stdout);
}

void demo_pictures_print(const demo_pictures *p, const demo_verdict *v, uint64_t count) {
    for (uint64_t first = 0; first < count; first += ACROSS) {
        uint64_t last = first + ACROSS < count ? first + ACROSS : count;
        for (unsigned y = 0; y < PICTURE_SIDE; y += 2) {
            for (uint64_t i = first; i < last; i++) print_line(picture(p, i), y);
            putchar('\n');
        }
        for (uint64_t i = first; i < last; i++) {
            char text[64];
            snprintf(text, sizeof text, "%s: %s", demo_classes[v[i].label], demo_classes[v[i].encrypted]);
            printf("%-34s", text);
        }
        fputs("\n\n", stdout);
    }
}

// ---- page ----
static void put_base64(FILE *f, const uint8_t *data, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16;
        if (i + 1 < size) bits |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < size) bits |= data[i + 2];
        for (unsigned k = 0; k < 4; k++) putc(i + k <= size ? digits[bits >> (18 - 6 * k) & 63] : '=', f);
    }
}

static void put_le32(uint8_t *at, uint32_t v) {
    for (unsigned k = 0; k < 4; k++) at[k] = (uint8_t)(v >> 8 * k);
}

// As a bitmap of 24 bits a pixel, the lowest row first.
static void put_bitmap(FILE *f, const uint8_t *pixel) {
    enum { HEAD = 54 };
    uint8_t file[HEAD + PICTURE_BYTES] = {'B', 'M'};
    put_le32(file + 2, sizeof file);
    put_le32(file + 10, HEAD);
    put_le32(file + 14, 40);
    put_le32(file + 18, PICTURE_SIDE);
    put_le32(file + 22, PICTURE_SIDE);
    put_le32(file + 26, 1 | 24u << 16); // planes, bits
    for (unsigned y = 0; y < PICTURE_SIDE; y++)
        for (unsigned x = 0; x < PICTURE_SIDE; x++)
            for (unsigned c = 0; c < 3; c++) // blue first
                file[HEAD + (y * PICTURE_SIDE + x) * 3 + c] =
                    pixel[(2 - c) * PICTURE_PIXELS + (PICTURE_SIDE - 1 - y) * PICTURE_SIDE + x];
    put_base64(f, file, sizeof file);
}

static void put_figure(FILE *f, const uint8_t *pixel, const demo_verdict *v) {
    const char *class = v->encrypted != v->clear ? "apart" : v->encrypted == v->label ? "right" : "wrong";
    fprintf(f, "<figure class=\"%s\"><img alt=\"%s\" src=\"data:image/bmp;base64,", class, demo_classes[v->label]);
    put_bitmap(f, pixel);
    fprintf(f, "\"><figcaption><b>%s</b><br>encrypted: %s<br>in clear: %s</figcaption></figure>\n",
            demo_classes[v->label], demo_classes[v->encrypted], demo_classes[v->clear]);
}

int demo_pictures_sheet(const char *path, const char *title, const demo_pictures *p, const demo_verdict *v) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return cli_fail(CLI_OTHER, "out of memory");
    fprintf(
        f,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Velum: %s</title><style>"
        "body{font:14px sans-serif;margin:2em;background:#fff;color:#222}main{display:flex;flex-wrap:wrap;gap:12px}"
        "figure{margin:0;width:136px;padding:6px;border-radius:6px;background:#eef6ee}figure.wrong{background:#f6f2e4}"
        "figure.apart{background:#f8d7d7}img{width:128px;height:128px;image-rendering:pixelated}"
        "figcaption{line-height:1.35}</style><h1>%s</h1><p>Each picture was encrypted, classified by a server that "
        "saw only ciphertexts, and decrypted. Green: right. Yellow: the network is wrong, in the clear as well. "
        "Red: encrypted and clear run differ.</p><main>\n",
        title, title);
    for (uint64_t i = 0; i < p->count; i++) put_figure(f, picture(p, i), &v[i]);
    fputs("</main></html>\n", f);
    int code =
        fclose(f) == 0 ? cli_file_write(path, (const uint8_t *)text, size) : cli_fail(CLI_OTHER, "out of memory");
    free(text);
    return code;
}
