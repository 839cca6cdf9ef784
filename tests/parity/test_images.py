#!/usr/bin/python3
"""Images: psal's pixels and tensors against Pillow and torchvision, every bit, on random files.

    /usr/bin/python3 tests/parity/test_images.py --build DIR [--seed N|new]

DIR is the build directory; its tests/parity/dump_image answers for psal. The files are the same in every run unless
--seed asks for others: JPEGs of all kinds Pillow writes and some it does not (YCCK, RGB, 4:4:0, 4:1:1), PNGs of every kind the format
has (written here: Pillow makes few of them), WebPs, damaged files, and photos from ../shared when they are there. Prints a
line per check and "N passed, N failed"; the status is 1 when one failed.
"""
import io
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib

import numpy as np
import torch
from PIL import Image, ImageFile
from torchvision import transforms

import command_line


SOURCE = pathlib.Path(__file__).resolve().parents[2]
SHARED = SOURCE.parent / "shared"


class Psal:
    """psal's side: a dump_image process."""

    def __init__(self, build, folder):
        program = pathlib.Path(build) / "tests" / "parity" / "dump_image"
        self.out = str(folder / "out.raw")
        self.process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, dtype, *fields):
        """The array (height, width, channels), or for float32 (channels, height, width); or the error as a string."""
        self.process.stdin.write("\t".join([*map(str, fields), self.out]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise SystemExit(f"dump_image died on {fields}")
        if answer != "ok":
            return answer
        with open(self.out, "rb") as file:
            height, width, channels = map(int, file.readline().split())
            values = np.frombuffer(file.read(), dtype)
        shape = (channels, height, width) if dtype == np.float32 else (height, width, channels)
        return values.reshape(shape)

    def close(self):
        self.process.stdin.close()
        return self.process.wait()


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, problem):
        """One line; `problem` is "" when all is well."""
        if problem:
            self.failed += 1
            print(f"FAILED  {name}: {problem}", flush=True)
        else:
            self.passed += 1
            print(f"ok      {name}", flush=True)


def difference(got, expected):
    """What is not equal, in words; "" when the arrays have the same bits."""
    if isinstance(got, str):
        return got
    if got.shape != expected.shape:
        return f"shape {got.shape}, expected {expected.shape}"
    if got.tobytes() == expected.tobytes():
        return ""
    where = tuple(np.argwhere(got != expected)[0])
    return f"{np.count_nonzero(got != expected)} of {got.size} differ, first at {where}: {got[where]!r}, " \
           f"expected {expected[where]!r}"


# ---- pictures ----

def picture(rng, width, height, channels):
    """Something between a photo and noise, so that all frequencies and both ends of the range occur."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for _ in range(channels):
        fx, fy, phase = rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), rng.uniform(0, 6)
        plane = 128 + 100 * np.sin(x * fx + y * fy + phase) + rng.normal(0, rng.choice([0, 5, 60]), (height, width))
        planes.append(np.clip(plane, 0, 255))
    return np.stack(planes, -1).astype(np.uint8)


SIZES = [(1, 1), (1, 7), (7, 1), (1, 300), (300, 1), (16, 16), (17, 33), (224, 224), (256, 256), (100, 80), (500, 375),
         (375, 500), (255, 257), (640, 481)]


def random_size(rng):
    return SIZES[rng.integers(len(SIZES))] if rng.random() < 0.5 else tuple(int(v) for v in rng.integers(1, 400, 2))


# ---- JPEG ----

# Pillow's encoder wants room for a whole progressive file at once and guesses too little for pictures of pure noise.
ImageFile.MAXBLOCK = 1 << 24

def jpeg(rng, mode, width, height, **options):
    channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
    pixels = picture(rng, width, height, channels)
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode)
    options.setdefault("quality", int(rng.integers(1, 101)))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return bytearray(buffer.getvalue())


def find_marker(data, marker):
    """Position of the marker's length field, walking the segments."""
    at = 2
    while data[at + 1] != marker:
        at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
    return at + 2


def ycck(rng, width, height):
    data = jpeg(rng, "CMYK", width, height, optimize=True)
    data[find_marker(data, 0xEE) + 2 + 11] = 2  # the Adobe marker's transform
    return data


def without_adobe(data):
    at = find_marker(data, 0xEE) - 2
    return data[:at] + data[at + 2 + struct.unpack(">H", data[at + 2:at + 4])[0]:]


def adobe_rgb(rng, width, height, transform):
    """JFIF's marker replaced by Adobe's."""
    data = jpeg(rng, "RGB", width, height, optimize=True)
    at = find_marker(data, 0xE0)
    length = struct.unpack(">H", data[at:at + 2])[0]
    return data[:at - 2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform]) + data[at + length:]


def lettered_rgb(rng, width, height):
    """No marker at all, components called R, G, B."""
    data = jpeg(rng, "RGB", width, height, subsampling=0)
    at = find_marker(data, 0xE0)
    data = data[:at - 2] + data[at + struct.unpack(">H", data[at:at + 2])[0]:]
    frame, scan = find_marker(data, 0xC0), find_marker(data, 0xDA)
    for i, letter in enumerate(b"RGB"):
        data[frame + 8 + 3 * i] = letter
        data[scan + 3 + 2 * i] = letter
    return data


def resampled(rng, before, after):
    """Another subsampling with as many blocks per MCU; 64x64 so that the number of MCUs stays."""
    data = jpeg(rng, "RGB", 64, 64, subsampling={0x21: 1, 0x22: 2}[before])
    at = find_marker(data, 0xC0) + 9
    assert data[at] == before
    data[at] = after
    return data


def oriented(rng, width, height):
    exif = Image.Exif()
    exif[0x0112] = int(rng.integers(2, 9))
    return jpeg(rng, "RGB", width, height, exif=exif.tobytes())


def jpeg_kinds(rng):
    kinds = []
    for mode in ("L", "RGB", "CMYK"):
        for progressive in (False, True):
            for subsampling in (0, 1, 2) if mode == "RGB" else (0,):
                for _ in range(3):
                    size = random_size(rng)
                    name = f"{mode} {'progressive' if progressive else 'baseline'} 4:{('4:4', '2:2', '2:0')[subsampling]}"
                    kinds.append((name, jpeg(rng, mode, *size, progressive=progressive, subsampling=subsampling,
                                             optimize=bool(rng.integers(2)))))
    for _ in range(3):
        kinds += [
            ("YCCK", ycck(rng, *random_size(rng))),
            ("CMYK without marker", without_adobe(jpeg(rng, "CMYK", *random_size(rng)))),
            ("Adobe RGB", adobe_rgb(rng, *random_size(rng), 0)),
            ("Adobe YCbCr", adobe_rgb(rng, *random_size(rng), 1)),
            ("components R G B", lettered_rgb(rng, *random_size(rng))),
            ("4:4:0", resampled(rng, 0x21, 0x12)),
            ("4:1:1", resampled(rng, 0x22, 0x41)),
            ("EXIF orientation", oriented(rng, *random_size(rng))),
            ("bytes after the end", jpeg(rng, "RGB", *random_size(rng)) + rng.bytes(50)),
            ("colour profile", jpeg(rng, "RGB", *random_size(rng), icc_profile=rng.bytes(70000))),
        ]
    kinds.append(("large", jpeg(rng, "RGB", 3001, 2003)))
    kinds.append(("large progressive", jpeg(rng, "RGB", 1501, 2003, progressive=True)))
    return [("jpeg " + name, "jpg", data) for name, data in kinds]


# ---- PNG ----

PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]  # Adam7


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def filtered(rng, rows, bpp):
    """PNG's five filters, one at random per row."""
    out, above = [], None
    for row in rows:
        row = np.frombuffer(row, np.uint8).astype(np.int32)
        if above is None:
            above = np.zeros_like(row)
        left, corner = (np.concatenate([np.zeros(bpp, np.int32), r])[:len(row)] for r in (row, above))
        estimate = left + above - corner
        dl, da, dc = abs(estimate - left), abs(estimate - above), abs(estimate - corner)
        paeth = np.where((dl <= da) & (dl <= dc), left, np.where(da <= dc, above, corner))
        kind = int(rng.integers(5))
        prediction = [0 * row, left, above, (left + above) // 2, paeth][kind]
        out.append(bytes([kind]) + ((row - prediction) & 255).astype(np.uint8).tobytes())
        above = row
    return b"".join(out)


def packed(samples, depth):
    """Rows (height, width * channels) of samples as bytes."""
    if depth == 16:
        return [row.astype(">u2").tobytes() for row in samples]
    if depth == 8:
        return [row.astype(np.uint8).tobytes() for row in samples]
    bits = (samples[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    return [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in bits]


def png(rng, width, height, colour, depth, interlaced=False, extra=b"", palette_size=None):
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    if colour == 3:
        samples = rng.integers(0, 1 << depth, (height, width, 1))
    elif depth == 16 and rng.integers(2):
        samples = rng.integers(0, 600, (height, width, channels))  # around the limit of 8 bits
    else:
        samples = picture(rng, width, height, channels).astype(np.int64)
        samples = samples * 257 + rng.integers(-128, 128, samples.shape) if depth == 16 else samples >> 8 - depth
        samples = np.clip(samples, 0, (1 << depth) - 1)
    bpp = max(1, channels * depth // 8)
    raw = b""
    for x0, y0, dx, dy in PASSES if interlaced else [(0, 0, 1, 1)]:
        part = samples[y0::dy, x0::dx]
        if part.size:
            raw += filtered(rng, packed(part.reshape(part.shape[0], -1), depth), bpp)
    data = b"\x89PNG\r\n\x1a\n"
    data += chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced)))
    if colour == 3:
        data += chunk(b"PLTE", rng.bytes(3 * (palette_size or 1 << depth)))
    data += extra
    body = zlib.compress(raw, int(rng.integers(10)))
    cut = int(rng.integers(len(body) + 1))
    data += chunk(b"IDAT", body[:cut]) + chunk(b"IDAT", body[cut:])
    return bytearray(data + chunk(b"IEND", b""))


def transparency(rng, colour, depth):
    if colour == 3:
        return chunk(b"tRNS", rng.bytes(int(rng.integers(1, (1 << depth) + 1))))
    return chunk(b"tRNS", b"".join(struct.pack(">H", int(v)) for v in
                                   rng.integers(0, 1 << depth, 1 if colour == 0 else 3)))


def png_kinds(rng):
    names = {0: "grey", 2: "RGB", 3: "palette", 4: "grey+alpha", 6: "RGBA"}
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    kinds = []
    for colour, name in names.items():
        for depth in depths[colour]:
            for interlaced in (False, True):
                for _ in range(2):
                    kinds.append((f"{name} {depth} bit{' interlaced' if interlaced else ''}",
                                  png(rng, *random_size(rng), colour, depth, interlaced)))
                if colour in (0, 2, 3):
                    kinds.append((f"{name} {depth} bit{' interlaced' if interlaced else ''} tRNS",
                                  png(rng, *random_size(rng), colour, depth, interlaced,
                                      transparency(rng, colour, depth))))
    one_clear = chunk(b"tRNS", b"\xff\xff\x00\xff")
    gamma = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"cHRM", struct.pack(">8I", *range(1, 9)))
    kinds += [
        ("palette with one clear entry", png(rng, 50, 40, 3, 8, extra=one_clear)),
        ("short palette", png(rng, 60, 50, 3, 8, palette_size=100)),
        ("gamma and text", png(rng, 60, 50, 2, 8, extra=gamma + chunk(b"tEXt", b"Title\0x" * 9))),
        ("background", png(rng, 60, 50, 6, 8, extra=chunk(b"bKGD", b"\0\1\0\2\0\3"))),
        ("significant bits", png(rng, 60, 50, 2, 16, extra=chunk(b"sBIT", b"\5\6\5"))),
        ("large", png(rng, 1801, 1203, 2, 8)),
    ]
    return [("png " + name, "png", data) for name, data in kinds]


# ---- WebP ----

def webp(rng, mode, width, height, **options):
    pixels = picture(rng, width, height, len(mode))
    if mode == "RGBA" and rng.integers(2):
        pixels[..., 3] = rng.choice([0, 255], (height, width))  # colours that nobody sees count too
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode).save(buffer, "WEBP", **options)
    return bytearray(buffer.getvalue())


def animated_webp(rng):
    frames = [Image.fromarray(picture(rng, 8, 6, 3), "RGB") for _ in range(2)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    return bytearray(buffer.getvalue())


def webp_kinds(rng):
    kinds = []
    for mode in ("RGB", "RGBA"):
        for _ in range(4):
            method, quality = int(rng.integers(7)), int(rng.integers(101))
            kinds += [
                (f"{mode} lossy", webp(rng, mode, *random_size(rng), quality=quality, method=method)),
                (f"{mode} lossless", webp(rng, mode, *random_size(rng), lossless=True, exact=bool(rng.integers(2)),
                                          quality=quality, method=method)),
            ]
    profile, exif = rng.bytes(301), Image.Exif()
    exif[0x0112] = 6
    few = Image.fromarray(rng.integers(0, 5, (40, 50), dtype=np.uint8), "P")
    few.putpalette(rng.bytes(768))
    palette = io.BytesIO()
    few.convert("RGB").save(palette, "WEBP", lossless=True)
    kinds += [
        ("palette", bytearray(palette.getvalue())),
        ("colour profile", webp(rng, "RGB", *random_size(rng), icc_profile=profile)),
        ("EXIF orientation", webp(rng, "RGB", *random_size(rng), exif=exif.tobytes())),
        ("bytes after the end", webp(rng, "RGB", *random_size(rng)) + rng.bytes(50)),
        ("large", webp(rng, "RGB", 1501, 1003, method=0)),
    ]
    return [("webp " + name, "webp", data) for name, data in kinds]


# ---- the checks ----

def pillow_rgb(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(path).convert("RGB")


NORMALISE = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406],
                                                                            [0.229, 0.224, 0.225])])


def crop_to(resize, height, width):
    steps = [transforms.Resize(resize)] if resize else []
    return transforms.Compose(steps + [transforms.CenterCrop((height, width))])


def check_resize(psal, rng, path, image):
    for _ in range(3):
        width, height = (int(v) for v in rng.integers(1, 450, 2))
        if rng.integers(4) == 0:
            width = image.width
        elif rng.integers(4) == 0:
            height = image.height
        problem = difference(psal.ask(np.uint8, "resize", path, width, height),
                             np.asarray(image.resize((width, height), Image.BILINEAR)))
        if problem:
            return f"to {width}x{height}: {problem}"
    return ""


def check_tensors(psal, rng, path, image):
    resize, height, width = (int(v) for v in rng.integers(1, 400, 3))
    cropped = crop_to(256, 224, 224)(image)
    odd = crop_to(resize, height, width)(image)
    bgr = np.asarray(cropped).astype(np.float32)[..., ::-1].copy()
    bgr[..., 0] -= 103.939
    bgr[..., 1] -= 116.779
    bgr[..., 2] -= 123.68
    inception = transforms.Compose([crop_to(342, 299, 299), transforms.ToTensor(), transforms.Normalize([0.5] * 3,
                                                                                                        [0.5] * 3)])
    grey = transforms.Compose([transforms.Grayscale(), crop_to(0, height, width), transforms.ToTensor(),
                               transforms.Normalize([0.286], [0.353])])
    mean, std = [[round(float(v), 4) for v in rng.uniform(0.1, 1, 3)] for _ in "ms"]
    own = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])
    high, wide = (int(v) for v in rng.integers(1, 400, 2))
    stretched = transforms.Resize((high, wide))(image)
    text = f"resize={resize};crop={height}x{width}"
    join = lambda values: ",".join(map(str, values))
    for kind, description, expected in [
            ("pixels", "torchvision", np.asarray(cropped)),
            ("pixels", "torchvision;" + text, np.asarray(odd)),
            ("pixels", f"torchvision;resize={high}x{wide}", np.asarray(stretched)),
            ("tensor", f"torchvision;resize={high}x{wide}", NORMALISE(stretched).numpy()),
            ("pixels", f"rgb;resize={high}x{wide};crop={height}x{width}", np.asarray(crop_to(0, height, width)(stretched))),
            ("tensor", "torchvision", NORMALISE(cropped).numpy()),
            ("tensor", f"rgb;{text};scale=255;mean={join(mean)};std={join(std)}", own(odd).numpy()),
            ("tensor", "caffe", bgr.transpose(2, 0, 1)),
            ("tensor", "inception", inception(image).numpy()),
            ("tensor", f"grey;crop={height}x{width};scale=255;mean=0.286;std=0.353", grey(image).numpy())]:
        got = psal.ask(np.uint8 if kind == "pixels" else np.float32, kind, path, description)
        problem = difference(got, np.ascontiguousarray(expected))
        if problem:
            return f"{kind} {description}: {problem}"
    return ""


def check_file(psal, report, rng, name, path):
    image = pillow_rgb(path)
    name = f"{name} {image.width}x{image.height}"
    report.check(name + " pixels", difference(psal.ask(np.uint8, "decode", path), np.asarray(image)))
    report.check(name + " resize", check_resize(psal, rng, path, image))
    # Pillow resizes all of a narrow image before the crop: up to 256 x 77000 here, which is enough.
    report.check(name + " tensors", check_tensors(psal, rng, path, image))


def damaged(rng, data):
    data = bytearray(data)
    if rng.random() < 0.4:
        return "cut", data[:int(rng.integers(2, len(data)))]
    for _ in range(int(rng.integers(1, 4))):
        data[int(rng.integers(2, len(data)))] = int(rng.integers(256))
    return "altered", data


def check_damaged(psal, report, rng, kinds, folder, count):
    """Neither side may show other pixels than the other; psal refuses what Pillow refuses when bytes are missing."""
    both = refused = lenient = strict = 0
    problems = []
    for _ in range(count):
        name, suffix, data = kinds[int(rng.integers(len(kinds)))]
        if len(data) > 100000:
            continue
        how, data = damaged(rng, data)
        path = folder / ("damaged." + suffix)
        path.write_bytes(data)
        try:
            expected = np.asarray(pillow_rgb(path))
        except Exception as error:  # Pillow raises nearly anything
            expected = f"Pillow: {error}"
        got = psal.ask(np.uint8, "decode", path)
        if isinstance(got, str) and isinstance(expected, str):
            refused += 1
        elif isinstance(got, str):
            strict += 1
            if suffix == "jpg" and "pixels cannot be in" not in got:  # a size no file so short can fill
                problems.append(f"{how} {name} is refused: {got}")
        elif isinstance(expected, str):
            lenient += 1
            if how == "cut":
                problems.append(f"{how} {name} is accepted; {expected}")
        else:
            both += 1
            if difference(got, expected):
                problems.append(f"{how} {name}: {difference(got, expected)}")
        if problems:
            kept = pathlib.Path(tempfile.gettempdir()) / f"psal-damaged-{how}.{suffix}"
            kept.write_bytes(data)
            problems[-1] += f" (kept as {kept})"
            break
    report.check(f"damaged files: {refused} refused by both, {both} decoded equally, {strict} refused by psal only, "
                 f"{lenient} by Pillow only", "; ".join(problems))


def photos(rng):
    found = sorted(SHARED.glob("imagenet-sample/*/*.JPEG")) + sorted(SHARED.glob("imagenet-sample/*/*.jp*g"))
    chosen = [found[i] for i in rng.permutation(len(found))[:20]] + sorted(SHARED.glob("demo/*.jp*g"))
    if not chosen:
        print(f"SKIPPED photos: none under {SHARED}")
    return chosen


def main():
    parser = command_line.parser(__doc__)
    parser.add_argument("--damaged", type=int, default=400, help="how many damaged files to try")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    torch.set_num_threads(1)
    rng = np.random.default_rng(arguments.seed)
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        psal = Psal(arguments.build, folder)
        kinds = jpeg_kinds(rng) + png_kinds(rng) + webp_kinds(rng)
        for number, (name, suffix, data) in enumerate(kinds):
            path = folder / f"{number}.{suffix}"
            path.write_bytes(data)
            check_file(psal, report, rng, name, path)
            os.unlink(path)
        for path in photos(rng):
            check_file(psal, report, rng, f"photo {path.name}", path)
        check_damaged(psal, report, rng, kinds, folder, arguments.damaged)
        status = psal.close()
        report.check("dump_image ends well", "" if status == 0 else f"status {status}")
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
