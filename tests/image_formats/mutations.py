"""Images with something wrong in them, by a seed.

    python -m tests.image_formats.mutations --count 10000

looks for one that the inspector takes and stock Glance refuses, that ends it with another error than a refusal, or on
which it depends how the image is cut into chunks. It prints the seed of each, and how many were taken.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
from collections import Counter
from collections.abc import Sequence

from image_registry.formats.errors import ImageRefusedError
from image_registry.formats.inspector import DISK_FORMATS
from tests.image_formats import oracle
from tests.image_formats.corpus import GOOD, boot_sector, good, iso, stream_optimized
from tests.image_formats.inspecting import answer, looked_up_answer

_NUMBERS = (0, 1, 2, 3, 4, 5, 8, 9, 16, 21, 22, 31, 63, 64, 255, 512, 65536, 1 << 20, 1 << 31, (1 << 32) - 1)
_LARGE = (1 << 40, 1 << 60, 1 << 63, (1 << 64) - 1, (1 << 64) - 512)
_MARKS = (
    (0, b"QFI\xfb"),
    (0, b"QED\0"),
    (0, b"conectix"),
    (0, b"vhdxfile"),
    (0, b"KDMV"),
    (0, b"COWD"),
    (0, b"# Disk DescriptorFile\nversion=1\n"),
    (0, b"LUKS\xba\xbe"),
    (0, b"WithoutFreeSpace"),
    (0x40, b"\x7f\x10\xda\xbe"),
    (510, b"\x55\xaa"),
    (32769, b"CD001"),
)
_WORDS = (
    b'createType="monolithicFlat"',
    b'createType="monolithicSparse"',
    b'parentFileNameHint="/etc/passwd"',
    b'RW 2048 FLAT "/etc/passwd" 0',
    b'RW 2048 SPARSE "../x"',
    b"\r\n",
    b"\0",
)
_PLACES = {"vhdx": (65536, 131072, 196608, 262144, 3 << 20, (3 << 20) + 65536), "vhd": (0, 512, 1536), "vdi": (0, 512)}
_TABLES = (0, 512, 1024, 10752, 65536, 131072, 196608)


def originals() -> list[tuple[bytes, str]]:
    """Small enough to try many of."""
    made = [(good(name, convert=False), GOOD[name][0]) for name in GOOD]
    made += [(stream_optimized(), "vmdk"), (iso(), "iso"), (iso(hybrid=True), "iso"), (boot_sector(), "raw")]
    return [each for each in made if len(each[0]) <= 9 << 20]


def mutated(seed: int, originals: Sequence[tuple[bytes, str]]) -> tuple[bytes, str]:
    """An image and what it is said to be."""
    rng = random.Random(seed)
    content, said = rng.choice(originals)
    image = bytearray(content[: 4 << 20])
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        _mutate(rng, image, said)
    if rng.random() < 0.15:
        said = rng.choice((*DISK_FORMATS, "raw", "raw", "qed", "ploop"))
    return bytes(image), said


def _mutate(rng: random.Random, image: bytearray, said: str) -> None:
    at = rng.choice(_PLACES.get(said, _TABLES)) + rng.randrange(rng.choice((8, 128, 512, 600)))
    match rng.randrange(7):
        case 0:
            data = rng.randbytes(rng.choice((1, 2, 4, 8)))
        case 1 | 2:
            value, code = rng.choice(_NUMBERS), rng.choice(("<I", ">I", "<Q", ">Q"))
            data = struct.pack(code, value)
            at -= at % 4
        case 3:
            data = struct.pack(rng.choice(("<Q", ">Q")), rng.choice(_LARGE))
            at -= at % 4
        case 4:
            at, data = rng.choice(_MARKS)
        case 5:
            at, data = 512 + rng.randrange(400), rng.choice(_WORDS)
        case _:
            del image[rng.choice((at, rng.randrange(len(image) + 1))) :]
            return
    end = min(at + len(data), len(image))
    image[at:end] = data[: max(0, end - at)]


def judged(image: bytes, said: str, chunks: Sequence[int] = (4097,)) -> tuple[bool, str]:
    """Whether it is taken; and what is wrong with that, or nothing."""
    whole = answer(image, said)
    taken = not isinstance(whole, str)
    if any(answer(image, said, chunk) != whole for chunk in chunks):
        return taken, "other chunks have another verdict"
    if looked_up_answer(image, said) != whole:
        return taken, "what is looked up has another verdict"
    if taken and not oracle.accepts(image, said):
        return taken, "stock Glance refuses it"
    return taken, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--start", type=int, default=0)
    asked = parser.parse_args()
    seeds = originals()
    counts: Counter[str] = Counter()
    for seed in range(asked.start, asked.start + asked.count):
        image, said = mutated(seed, seeds)
        try:
            taken, wrong = judged(image, said)
        except ImageRefusedError as refusal:
            taken, wrong = False, f"a refusal is let through: {refusal}"
        except Exception as error:
            taken, wrong = False, f"it fails: {error!r}"
        counts["taken" if taken else "refused"] += 1
        if wrong:
            counts["wrong"] += 1
            print(f"seed {seed} ({said}): {wrong}")
    print(dict(counts))
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
