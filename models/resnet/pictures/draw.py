#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws small pictures of the ten classes of CIFAR-10: shapes in object coordinates, -1 to 1 each way and y downward,
on 256 x 256 points, averaged to 32 x 32. Nobody's photographs, and the same bytes from the same seed.

Run as a program it writes pictures.npy (float32 [32, 3072], red, green and blue planes), labels.csv and sheet.png.
"""
import csv
import struct
import zlib
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
FINE, SIZE, SHIPPED, SEED = 8, 32, 32, 10


class Canvas:
    def __init__(self, rng):
        self.rng = rng
        side = (np.arange(FINE * SIZE) + 0.5) / (FINE * SIZE) * 2 - 1
        self.x, self.y = np.meshgrid(side, side)
        self.rgb = np.zeros((FINE * SIZE, FINE * SIZE, 3))

    def place(self, scale, tilt=0.12):
        """Moves, turns, mirrors and scales what is drawn from now on."""
        r = self.rng
        angle, flip = r.uniform(-tilt, tilt), r.choice([-1, 1])
        scale *= r.uniform(0.85, 1.1)
        x, y = self.x - r.uniform(-0.12, 0.12), self.y - r.uniform(-0.08, 0.08)
        self.x, self.y = (flip * (x * np.cos(angle) + y * np.sin(angle)) / scale,
                          (y * np.cos(angle) - x * np.sin(angle)) / scale)

    def paint(self, mask, colour):
        """A colour, lighter above than below."""
        shade = 1 - 0.22 * np.clip(self.y, -1, 1)[mask]
        self.rgb[mask] = np.asarray(colour) * shade[:, None]

    def ellipse(self, cx, cy, rx, ry, colour, angle=0.0):
        x, y = self.x - cx, self.y - cy
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        self.paint((u / rx) ** 2 + (v / ry) ** 2 <= 1, colour)

    def polygon(self, points, colour):
        inside = np.zeros(self.x.shape, bool)
        for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1]):
            if y0 != y1:
                crossed = (y0 > self.y) != (y1 > self.y)
                inside ^= crossed & (self.x < (x1 - x0) * (self.y - y0) / (y1 - y0) + x0)
        self.paint(inside, colour)

    def line(self, points, width, colour):
        for (x0, y0), (x1, y1) in zip(points, points[1:]):
            dx, dy = x1 - x0, y1 - y0
            t = np.clip(((self.x - x0) * dx + (self.y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
            self.paint(np.hypot(self.x - x0 - t * dx, self.y - y0 - t * dy) <= width / 2, colour)

    def sky(self, top, bottom):
        t = (self.y[..., None] + 1) / 2
        self.rgb[:] = (1 - t) * np.asarray(top) + t * np.asarray(bottom)

    def ground(self, level, colour, rough=0.03):
        """Everything below a wavy horizon, speckled."""
        a, b = self.rng.uniform(0, 6, 2)
        mask = self.y > level + rough * (np.sin(3 * self.x + a) + 0.5 * np.sin(7 * self.x + b))
        self.paint(mask, colour)
        speckle = np.kron(self.rng.uniform(-18, 18, (64, 64)), np.ones((4, 4)))
        self.rgb[mask] += speckle[mask][:, None]

    def clouds(self):
        for _ in range(self.rng.randint(1, 4)):
            cx, cy = self.rng.uniform(-1, 1), self.rng.uniform(-0.9, -0.4)
            for k in range(4):
                self.ellipse(cx + 0.14 * k, cy + self.rng.uniform(-0.04, 0.04), 0.16, 0.09, (238, 240, 244))

    def finish(self):
        """uint8 [3, 32, 32]: averaged, with uneven light and a little grain."""
        light = self.rng.uniform(-14, 14, (5, 5))
        at = np.linspace(0, 4, SIZE)
        low = np.minimum(at.astype(int), 3)
        f = at - low
        rows = light[low] * (1 - f)[:, None] + light[low + 1] * f[:, None]
        light = rows[:, low] * (1 - f) + rows[:, low + 1] * f
        small = self.rgb.reshape(SIZE, FINE, SIZE, FINE, 3).mean((1, 3)) + light[..., None]
        small += self.rng.uniform(-5, 5, small.shape)
        return np.clip(np.rint(small), 0, 255).astype(np.uint8).transpose(2, 0, 1)


def pick(c, *colours):
    return np.clip(np.asarray(colours[c.rng.randint(len(colours))]) + c.rng.uniform(-15, 15, 3), 0, 250)


def outdoors(c, level=0.35):
    c.sky(pick(c, (120, 165, 215), (165, 190, 210)), (214, 222, 226))
    c.ground(level, pick(c, (96, 130, 60), (140, 135, 80), (80, 110, 60)))


def aeroplane(c):
    c.sky(pick(c, (70, 130, 205), (110, 150, 200)), (185, 210, 232))
    c.clouds()
    c.place(0.85, 0.35)
    body = pick(c, (225, 228, 232), (190, 198, 208))
    c.polygon([(0.02, -0.05), (0.3, -0.42), (0.42, -0.42), (0.26, -0.05)], body * 0.8)
    c.polygon([(-0.92, -0.1), (-0.98, -0.42), (-0.82, -0.42), (-0.6, -0.1)], pick(c, (190, 40, 40), (40, 70, 160)))
    c.ellipse(0, 0, 0.95, 0.14, body)
    c.polygon([(-0.1, 0.03), (-0.5, 0.48), (-0.36, 0.5), (0.3, 0.05)], body * 0.75)
    c.polygon([(-0.78, 0.0), (-0.98, 0.18), (-0.88, 0.19), (-0.6, 0.03)], body * 0.75)
    c.ellipse(-0.14, 0.26, 0.13, 0.055, (110, 115, 125))
    c.line([(-0.6, -0.03), (0.6, -0.03)], 0.035, (70, 80, 100))
    c.ellipse(0.78, -0.04, 0.08, 0.04, (40, 50, 65))


def wheels(c, y, radius, *at):
    for x in at:
        c.ellipse(x, y, radius, radius, (28, 28, 30))
        c.ellipse(x, y, radius * 0.5, radius * 0.5, (165, 165, 170))


def road(c):
    c.sky(pick(c, (150, 180, 210), (180, 185, 195)), (205, 210, 215))
    c.ground(-0.05, pick(c, (110, 130, 90), (150, 140, 125)))
    c.ground(0.35, (112, 112, 116), 0.01)


def car(c):
    road(c)
    c.place(0.88, 0.06)
    paint = pick(c, (190, 30, 35), (35, 70, 165), (215, 215, 220), (225, 180, 40))
    c.ellipse(0, 0.53, 0.95, 0.07, (60, 60, 64))
    c.polygon([(-0.55, -0.02), (-0.3, -0.42), (0.28, -0.42), (0.58, -0.02)], paint)
    c.polygon([(-0.44, -0.03), (-0.26, -0.34), (-0.02, -0.34), (-0.02, -0.03)], (60, 80, 100))
    c.polygon([(0.05, -0.03), (0.05, -0.34), (0.24, -0.34), (0.46, -0.03)], (60, 80, 100))
    c.polygon([(-0.95, 0.4), (-0.93, 0.06), (-0.55, -0.04), (0.58, -0.04), (0.92, 0.08), (0.97, 0.4)], paint)
    c.line([(-0.9, 0.3), (0.92, 0.3)], 0.05, paint * 0.7)
    c.ellipse(0.9, 0.14, 0.06, 0.06, (250, 245, 200))
    wheels(c, 0.4, 0.2, -0.55, 0.55)


def bird(c):
    c.sky(pick(c, (125, 165, 120), (150, 185, 215), (170, 175, 150)), pick(c, (190, 205, 170), (205, 215, 205)))
    c.place(0.9)
    coat = pick(c, (60, 95, 170), (150, 80, 45), (110, 110, 105), (200, 160, 50))
    c.line([(-1.3, 0.62), (1.3, 0.55)], 0.12, (90, 65, 45))
    c.line([(-0.05, 0.3), (-0.08, 0.56)], 0.05, (120, 90, 50))
    c.line([(0.1, 0.3), (0.12, 0.56)], 0.05, (120, 90, 50))
    c.polygon([(-0.4, 0.1), (-0.98, 0.42), (-0.9, 0.55), (-0.3, 0.32)], coat * 0.75)
    c.ellipse(0, 0.08, 0.5, 0.32, coat, -0.35)
    c.ellipse(0.14, 0.18, 0.34, 0.22, pick(c, (235, 225, 205), (220, 150, 90)), -0.5)
    c.ellipse(-0.12, 0.08, 0.36, 0.18, coat * 0.7, 0.35)
    c.ellipse(0.4, -0.28, 0.25, 0.23, coat)
    c.polygon([(0.6, -0.34), (0.9, -0.24), (0.6, -0.18)], (225, 160, 50))
    c.ellipse(0.47, -0.33, 0.05, 0.05, (15, 15, 15))


def indoors(c):
    c.sky(pick(c, (170, 150, 130), (130, 140, 150), (190, 170, 160)), pick(c, (150, 125, 105), (115, 110, 115)))
    c.ground(0.5, pick(c, (140, 95, 70), (150, 140, 130)))


def cat(c):
    indoors(c)
    c.place(0.95)
    fur = pick(c, (205, 140, 75), (120, 120, 122), (60, 55, 55), (215, 195, 165))
    c.ellipse(0, 0.85, 0.62, 0.6, fur * 0.9)
    for s in (-1, 1):
        c.polygon([(s * 0.58, -0.05), (s * 0.62, -0.85), (s * 0.1, -0.42)], fur)
        c.polygon([(s * 0.5, -0.3), (s * 0.55, -0.68), (s * 0.27, -0.42)], (215, 150, 145))
    c.ellipse(0, 0, 0.62, 0.52, fur)
    for x in (-0.18, 0, 0.18):
        c.line([(x, -0.48), (x * 0.8, -0.26)], 0.06, fur * 0.6)
    for s in (-1, 1):
        c.line([(s * 0.6, 0.02), (s * 0.36, 0.08)], 0.05, fur * 0.65)
        c.ellipse(s * 0.26, -0.08, 0.15, 0.12, pick(c, (185, 200, 80), (120, 180, 90)))
        c.ellipse(s * 0.26, -0.08, 0.045, 0.11, (12, 12, 12))
        c.ellipse(s * 0.1, 0.25, 0.15, 0.12, fur * 0.4 + 145)
        c.line([(s * 0.16, 0.24), (s * 0.8, 0.16)], 0.025, (240, 240, 240))
        c.line([(s * 0.16, 0.28), (s * 0.78, 0.34)], 0.025, (240, 240, 240))
    c.polygon([(-0.08, 0.13), (0.08, 0.13), (0, 0.22)], (215, 120, 125))


def legs(c, xs, top, bottom, width, colour):
    for k, x in enumerate(xs):
        c.line([(x, top), (x + (0.03 if k % 2 else -0.03), bottom)], width, colour * (1 if k % 2 else 0.7))


def deer(c):
    c.sky(pick(c, (95, 120, 80), (140, 160, 120), (165, 175, 160)), (135, 150, 95))
    c.ground(0.45, pick(c, (110, 125, 60), (150, 135, 85)))
    c.place(0.9, 0.05)
    coat = pick(c, (150, 100, 58), (172, 122, 78))
    legs(c, (-0.48, -0.36, 0.22, 0.34), 0.1, 0.88, 0.1, coat * 0.9)
    c.ellipse(-0.06, 0.08, 0.56, 0.25, coat)
    c.polygon([(0.2, 0.05), (0.44, -0.48), (0.66, -0.4), (0.5, 0.18)], coat)
    c.ellipse(0.66, -0.48, 0.26, 0.13, coat, 0.3)
    c.polygon([(0.5, -0.52), (0.3, -0.68), (0.56, -0.62)], coat * 0.8)
    for s in (0, 0.14):
        c.line([(0.56 + s, -0.56), (0.5 + 2 * s, -0.8), (0.56 + 2 * s, -1.02)], 0.05, (205, 185, 150))
        c.line([(0.5 + 2 * s, -0.8), (0.36 + 2 * s, -0.95)], 0.045, (205, 185, 150))
        c.line([(0.53 + s, -0.66), (0.7 + s, -0.8)], 0.045, (205, 185, 150))
    c.ellipse(0.66, -0.52, 0.035, 0.035, (15, 12, 10))
    c.ellipse(-0.58, 0.0, 0.1, 0.12, (240, 235, 225))


def dog(c):
    (indoors if c.rng.randint(2) else outdoors)(c)
    c.place(0.95)
    fur = pick(c, (165, 110, 60), (85, 60, 45), (225, 205, 170), (190, 150, 105))
    c.ellipse(0, 0.9, 0.55, 0.6, fur * 0.9)
    c.ellipse(0, -0.08, 0.5, 0.55, fur)
    for s in (-1, 1):
        c.ellipse(s * 0.52, -0.02, 0.17, 0.46, fur * 0.58, s * -0.22)
        c.ellipse(s * 0.2, -0.18, 0.09, 0.09, (30, 20, 15))
        c.ellipse(s * 0.22, -0.21, 0.03, 0.03, (250, 250, 250))
    c.ellipse(0, 0.2, 0.32, 0.28, fur * 0.35 + 150)
    c.polygon([(-0.1, 0.36), (0.1, 0.36), (0.08, 0.62), (-0.08, 0.62)], (220, 95, 105))
    c.ellipse(0, 0.08, 0.15, 0.1, (20, 18, 18))
    c.line([(0, 0.16), (0, 0.36)], 0.03, (60, 40, 35))


def frog(c):
    c.sky(pick(c, (95, 110, 60), (130, 115, 85), (70, 95, 75)), pick(c, (120, 130, 80), (150, 135, 105)))
    c.ground(0.4, pick(c, (110, 95, 65), (85, 110, 60)))
    c.place(0.92)
    skin = pick(c, (95, 150, 50), (70, 120, 60), (130, 130, 60))
    for s in (-1, 1):
        c.ellipse(s * 0.62, 0.4, 0.34, 0.24, skin * 0.8, s * 0.5)
        c.ellipse(s * 0.72, 0.68, 0.26, 0.08, skin * 0.7)
        c.line([(s * 0.3, 0.35), (s * 0.36, 0.72)], 0.13, skin * 0.9)
    c.ellipse(0, 0.25, 0.58, 0.44, skin)
    c.ellipse(0, 0.42, 0.36, 0.24, skin * 0.4 + 135)
    c.ellipse(0, -0.12, 0.56, 0.34, skin)
    for s in (-1, 1):
        c.ellipse(s * 0.36, -0.42, 0.19, 0.19, skin)
        c.ellipse(s * 0.36, -0.44, 0.12, 0.12, (235, 205, 70))
        c.ellipse(s * 0.36, -0.44, 0.1, 0.045, (10, 10, 10))
    c.line([(-0.45, 0.0), (-0.2, 0.08), (0.2, 0.08), (0.45, 0.0)], 0.045, skin * 0.45)
    for x, y in ((-0.15, -0.25), (0.2, -0.2), (-0.35, 0.2), (0.38, 0.25)):
        c.ellipse(x, y, 0.06, 0.045, skin * 0.6)


def horse(c):
    outdoors(c)
    c.place(0.92, 0.05)
    coat = pick(c, (110, 62, 35), (60, 42, 35), (190, 150, 110), (150, 85, 45))
    mane = coat * 0.35
    legs(c, (-0.5, -0.36, 0.2, 0.36), 0.1, 0.9, 0.13, coat * 0.9)
    c.polygon([(-0.6, -0.1), (-0.86, 0.08), (-0.84, 0.6), (-0.7, 0.58), (-0.58, 0.1)], mane)
    c.ellipse(-0.08, 0.05, 0.6, 0.3, coat)
    c.polygon([(0.12, -0.02), (0.46, -0.68), (0.72, -0.56), (0.52, 0.2)], coat)
    c.polygon([(0.02, -0.14), (0.36, -0.8), (0.52, -0.72), (0.24, -0.1)], mane)
    c.ellipse(0.72, -0.48, 0.33, 0.15, coat, 0.75)
    c.polygon([(0.46, -0.68), (0.5, -0.9), (0.6, -0.68)], coat)
    c.ellipse(0.68, -0.56, 0.035, 0.035, (10, 10, 10))


def ship(c):
    c.sky(pick(c, (120, 165, 215), (170, 190, 205), (225, 180, 140)), (215, 225, 232))
    c.clouds()
    c.ground(0.25, pick(c, (40, 85, 130), (55, 105, 125)), 0.012)
    c.place(0.9, 0.06)
    hull = pick(c, (150, 35, 35), (35, 45, 70), (225, 225, 228))
    c.polygon([(-0.55, 0.1), (-0.55, -0.18), (0.35, -0.18), (0.45, 0.1)], (238, 238, 235))
    c.polygon([(-0.4, -0.17), (-0.4, -0.42), (0.15, -0.42), (0.2, -0.17)], (225, 226, 228))
    c.polygon([(-0.28, -0.4), (-0.3, -0.78), (-0.08, -0.78), (-0.06, -0.4)], pick(c, (200, 60, 45), (240, 190, 60)))
    c.line([(-0.29, -0.7), (-0.09, -0.7)], 0.07, (30, 30, 32))
    for x in (-0.4, -0.2, 0.0, 0.2):
        c.ellipse(x, -0.04, 0.045, 0.045, (60, 85, 110))
    c.polygon([(-0.85, 0.08), (0.98, 0.02), (0.7, 0.45), (-0.7, 0.45)], hull)
    c.line([(-0.68, 0.38), (0.74, 0.38)], 0.08, hull * 0.55)
    c.line([(-1.0, 0.48), (-0.4, 0.46), (0.3, 0.48), (0.95, 0.46)], 0.05, (220, 232, 238))


def truck(c):
    road(c)
    c.place(0.9, 0.05)
    cab, box = pick(c, (190, 35, 30), (40, 80, 160), (235, 170, 40)), pick(c, (225, 225, 222), (180, 185, 190))
    c.ellipse(0, 0.56, 0.98, 0.06, (60, 60, 64))
    c.polygon([(-0.97, 0.34), (-0.97, -0.62), (0.38, -0.62), (0.38, 0.34)], box)
    for x in (-0.7, -0.42, -0.14, 0.14):
        c.line([(x, -0.58), (x, 0.3)], 0.025, box * 0.85)
    c.polygon([(0.42, 0.38), (0.42, -0.34), (0.72, -0.34), (0.92, 0.0), (0.97, 0.38)], cab)
    c.polygon([(0.52, -0.02), (0.52, -0.25), (0.69, -0.25), (0.82, -0.02)], (60, 80, 100))
    c.line([(-0.95, 0.39), (0.97, 0.39)], 0.07, (70, 70, 74))
    c.ellipse(0.93, 0.22, 0.045, 0.05, (250, 245, 200))
    wheels(c, 0.46, 0.17, -0.7, -0.32, 0.68)


KINDS = (aeroplane, car, bird, cat, deer, dog, frog, horse, ship, truck)


def scenes(count=SHIPPED, seed=SEED):
    """(pictures uint8 [count, 3, 32, 32], labels [count]): the classes in turn."""
    labels = np.arange(count) % len(KINDS)
    out = np.empty((count, 3, SIZE, SIZE), np.uint8)
    for i, k in enumerate(labels):
        c = Canvas(np.random.RandomState([seed, i]))
        KINDS[k](c)
        out[i] = c.finish()
    return out, labels


def write_png(path, rgb):
    """An 8-bit PNG of rgb [h, w, 3]."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + r.tobytes() for r in rgb)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *rgb.shape[1::-1], 8, 2, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def sheet(pictures, columns=8, zoom=3, gap=2):
    """The pictures side by side, enlarged."""
    rows, step = -(-len(pictures) // columns), SIZE * zoom + gap
    out = np.full((rows * step + gap, columns * step + gap, 3), 255, np.uint8)
    for i, p in enumerate(pictures):
        y, x = gap + i // columns * step, gap + i % columns * step
        out[y:y + SIZE * zoom, x:x + SIZE * zoom] = np.kron(p.transpose(1, 2, 0), np.ones((zoom, zoom, 1), np.uint8))
    return out


def main():
    pictures, labels = scenes()
    np.save(HERE / "pictures.npy", pictures.reshape(len(pictures), -1).astype(np.float32))
    write_png(HERE / "sheet.png", sheet(pictures))
    with open(HERE / "labels.csv", "w", newline="", encoding="ascii") as f:
        rows = csv.writer(f, lineterminator="\n")
        rows.writerow(["label", "name"])
        rows.writerows([k, KINDS[k].__name__] for k in labels)


if __name__ == "__main__":
    main()
