#!/usr/bin/python3
"""Writes image_golden.h: small images of every kind with the checksum of the pixels Pillow makes of them, and checksums
of what Pillow and torchvision make of a large one that test and script both can compute. Run it again after adding a
kind; the files are the same each time.

    /usr/bin/python3 tests/unit/io/make_image_golden.py > tests/unit/io/image_golden.h
"""
import io
import pathlib
import sys
import zlib

import numpy as np
from PIL import Image
from torchvision import transforms

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "parity"))
import test_images as make  # noqa: E402


def noise(width, height):
    """The bytes of the generator of Knuth and Lewis (Numerical Recipes' "quick and dirty"): the same in C."""
    state, out = 1, bytearray()
    for _ in range(width * height * 3):
        state = (state * 1664525 + 1013904223) & 0xffffffff
        out.append(state >> 24)
    return Image.frombytes("RGB", (width, height), bytes(out))


def files(rng):
    yield "jpeg_rgb", make.jpeg(rng, "RGB", 19, 13, quality=60, subsampling=2, optimize=True)
    yield "jpeg_444", make.jpeg(rng, "RGB", 9, 17, quality=90, subsampling=0, optimize=True)
    yield "jpeg_progressive", make.jpeg(rng, "RGB", 17, 11, quality=40, subsampling=1, progressive=True)
    yield "jpeg_grey", make.jpeg(rng, "L", 15, 10, quality=70, optimize=True)
    yield "jpeg_cmyk", make.jpeg(rng, "CMYK", 10, 9, quality=80, optimize=True)
    yield "jpeg_ycck", make.ycck(rng, 9, 9)
    yield "jpeg_adobe_rgb", make.adobe_rgb(rng, 9, 12, 0)
    for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            for interlaced in (False, True):
                extra = make.transparency(rng, colour, depth) if colour in (0, 2, 3) and interlaced else b""
                name = {0: "grey", 2: "rgb", 3: "palette", 4: "grey_alpha", 6: "rgba"}[colour]
                size = None if colour != 3 or interlaced or depth < 8 else 5
                yield (f"png_{name}_{depth}{'_interlaced' if interlaced else ''}",
                       make.png(rng, 9, 7, colour, depth, interlaced, extra, palette_size=size))
    yield "webp_lossy", make.webp(rng, "RGB", 19, 13, quality=60)
    yield "webp_lossy_alpha", make.webp(rng, "RGBA", 10, 9, quality=30)
    yield "webp_lossless", make.webp(rng, "RGB", 9, 7, lossless=True)
    yield "webp_lossless_alpha", make.webp(rng, "RGBA", 8, 5, lossless=True, exact=True)


RESIZES = [(1, 1), (67, 1), (1, 41), (10, 7), (66, 41), (67, 40), (67, 41), (68, 42), (134, 82), (200, 30), (30, 200)]
CROPS = [(0, 0, 0), (32, 28, 28), (33, 27, 30), (32, 64, 16), (20, 28, 31), (0, 100, 101), (64, 64, 64), (41, 40, 66)]


def print_bytes(name, data):
    print(f"static const uint8_t {name}_bytes[] = {{")
    for at in range(0, len(data), 27):
        print("    " + " ".join(f"{byte}," for byte in data[at:at + 27]))
    print("};")


def main():
    print("/* image_golden.h - written by make_image_golden.py; what Pillow and torchvision make of these images. */")
    print("#ifndef PSAL_TESTS_UNIT_IO_IMAGE_GOLDEN_H\n#define PSAL_TESTS_UNIT_IO_IMAGE_GOLDEN_H\n")
    print("#include <stddef.h>\n#include <stdint.h>\n")
    rows = []
    rng = np.random.default_rng(20221128)
    for name, data in files(rng):
        image = make.pillow_rgb(io.BytesIO(data))
        rows.append(f'    {{"{name}", {name}_bytes, sizeof {name}_bytes, {image.width}, {image.height}, '
                    f'0x{zlib.crc32(image.tobytes()):08x}}},')
        print_bytes(name, data)
    print("/* Two frames: refused. */")
    print_bytes("webp_animated", make.animated_webp(rng))
    print("\nstruct golden_image {\n    const char *name;\n    const uint8_t *bytes;\n    size_t size;\n"
          "    int width, height;\n    uint32_t crc; /* of the pixels as RGB */\n};\n")
    print("static const struct golden_image golden_images[] = {\n" + "\n".join(rows) + "\n};\n")
    source = noise(67, 41)
    print("/* The 67x41 image of the generator state = state * 1664525 + 1013904223, from 1, upper bytes: its CRC, and\n"
          " * that of its resizes, crops and tensors. */")
    print(f"#define NOISE_WIDTH 67\n#define NOISE_HEIGHT 41\n#define NOISE_CRC 0x{zlib.crc32(source.tobytes()):08x}\n")
    print("static const struct golden_resize {\n    int width, height;\n    uint32_t crc;\n} golden_resizes[] = {")
    for size in RESIZES:
        crc = zlib.crc32(source.resize(size, Image.BILINEAR).tobytes())
        print(f"    {{{size[0]}, {size[1]}, 0x{crc:08x}}},")
    print("};\n")
    print("static const struct golden_crop {\n    int resize, height, width;\n    uint32_t pixels_crc, tensor_crc; "
          "/* torchvision's mean and deviation; float32, little endian */\n} golden_crops[] = {")
    for resize, height, width in CROPS:
        steps = [transforms.Resize(resize)] if resize else []
        steps += [transforms.CenterCrop((height, width))] if height else []
        pixels = transforms.Compose(steps)(source)
        tensor = make.NORMALISE(pixels).numpy().astype("<f4")
        print(f"    {{{resize}, {height}, {width}, 0x{zlib.crc32(pixels.tobytes()):08x}, "
              f"0x{zlib.crc32(tensor.tobytes()):08x}}},")
    print("};\n")
    grey = source.convert("L")
    grey = make.crop_to(32, 28, 28)(grey)
    print("/* convert(\"L\"), Resize(32), CenterCrop(28): the pixels, one byte each. */")
    print(f"#define GREY_CRC 0x{zlib.crc32(grey.tobytes()):08x}\n\n#endif")


if __name__ == "__main__":
    main()
