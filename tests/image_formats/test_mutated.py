"""What is taken here is what stock Glance takes; and nothing but a refusal ends an inspection."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_registry.formats.inspector import DISK_FORMATS, REFUSED_FORMATS
from tests.image_formats.corpus import GOOD, good
from tests.image_formats.inspecting import fed, streamed
from tests.image_formats.mutations import judged, mutated, originals
from tests.nbd.test_stock_clients import needs

pytestmark = needs("qemu-img")
SEEDS = 400
SAID = st.sampled_from((*DISK_FORMATS, *REFUSED_FORMATS))
MARKS = st.sampled_from(
    (b"QFI\xfb\0\0\0\3", b"KDMV\1\0\0\0", b"conectix", b"vhdxfile", b"# Disk DescriptorFile\n", b"")
)


def test_mutated_images() -> None:
    made = originals()
    counts = Counter[bool]()
    for seed in range(SEEDS):
        image, said = mutated(seed, made)
        taken, wrong = judged(image, said)
        assert not wrong, f"seed {seed}: {wrong}"
        counts[taken] += 1
    assert min(counts[True], counts[False]) > SEEDS // 8  # both are tried


@given(MARKS, st.binary(max_size=700), SAID)
def test_arbitrary_bytes(mark: bytes, rest: bytes, said: str) -> None:
    _, wrong = judged(mark + rest, said, (1, 512))
    assert not wrong


@settings(suppress_health_check=[HealthCheck.data_too_large])
@given(st.sampled_from(sorted(GOOD)), st.integers(0, 2000), st.binary(min_size=1, max_size=16))
def test_changed_headers(name: str, at: int, new: bytes) -> None:
    content = good(name, convert=False)
    if len(content) <= 1 << 20:
        _, wrong = judged(content[:at] + new + content[at + len(new) :], GOOD[name][0])
        assert not wrong


@given(st.lists(st.integers(1, 300_000), max_size=8))
def test_any_chunks_have_one_verdict(lengths: list[int]) -> None:
    content = good("vmdk")
    chunks, at = [], 0
    for length in lengths:
        chunks.append(content[at : at + length])
        at += length
    assert fed([*chunks, content[at:]], "vmdk") == streamed(content, "vmdk")
