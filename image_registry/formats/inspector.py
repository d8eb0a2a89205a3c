"""`Inspector`: says what an image is while it comes by, and refuses it where it is not what it is said to be.

It does no I/O. A stream is given to `feed`, chunk by chunk; of a file that can be read anywhere only what `wanted`
names is given to `give`. Verdict and reason do not depend on how the image is cut into chunks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from image_registry.formats import qcow2, vdi, vhd, vhdx, vmdk
from image_registry.formats.bounds import Bounds
from image_registry.formats.captures import Capture, Head, Tail, as_view
from image_registry.formats.detection import is_text, marks, names_extents
from image_registry.formats.errors import ImageRefusedError
from image_registry.formats.master_boot_record import check_partitions
from image_registry.formats.plan import HEAD_BYTES, TAIL_BYTES, WINDOW_MAX, Buffer, Finding, Plan, Window
from image_registry.formats.raw import iso_virtual_size

_PLANS: Final[dict[str, Callable[[bytes], Plan]]] = {
    "qcow2": qcow2.inspect,
    "vdi": vdi.inspect,
    "vhd": vhd.inspect,
    "vhdx": vhdx.inspect,
    "vmdk": vmdk.inspect,
}
RAW_KINDS: Final = ("raw", "ami", "ari", "aki")
"""Of any content that is no other format's."""
DISK_FORMATS: Final = ("raw", "iso", *_PLANS, "ami", "ari", "aki")
REFUSED_FORMATS: Final = ("ploop", "qed", "luks")
INSPECTED_CONTAINERS: Final = ("bare",)
"""What is in others nobody looks at, nor makes a volume of; stock Glance does so, too."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An image that is accepted."""

    detected: str | None
    """Its format by its content: of DISK_FORMATS, or `gpt` for a raw disk with partitions; None where it was not looked
    at."""

    virtual_size: int | None
    """Bytes, as stock Glance tells them; None where it tells none."""

    disk_size: int | None
    """Bytes of the disk that it becomes; None where it becomes none."""


class Inspector:
    """Of one image. `feed`, `give`, `wanted` and `finish` raise ImageRefusedError, the same each time."""

    def __init__(self, disk_format: str, container_format: str = "bare", bounds: Bounds = Bounds()) -> None:  # noqa: B008 - it is frozen
        self.formats = disk_format, container_format
        """What the image is said to be, and is looked into as."""
        self._said = disk_format
        self._bounds = bounds
        self._looks = container_format in INSPECTED_CONTAINERS
        self._fed = 0
        self._head = Head()
        self._tail = Tail()
        self._plan: Plan | None = None
        self._capture: Capture | None = None
        self._passed = 0
        self._detected = ""
        self._finding: Finding | None = None
        self._refusal: ImageRefusedError | None = None
        if self._looks and disk_format in REFUSED_FORMATS:
            self._refusal = ImageRefusedError(f"images of the format {disk_format} are not taken")

    def feed(self, chunk: Buffer) -> None:
        """The next bytes. They may be changed once this has returned."""
        self.give(self._fed, chunk)

    def give(self, offset: int, chunk: Buffer) -> None:
        """Bytes from `offset` on, which is not before the end of what was given last, but to give the tail."""
        view = as_view(chunk)
        self._fed = offset + len(view)
        if not self._looks:
            return
        self._raise_refusal()
        self._tail.take(offset, view)
        if not self._detected:
            self._head.take(offset, view)
            if self._head.whole:
                self._guarded(self._begin)
        if self._capture is not None:
            self._guarded(lambda: self._fill(offset, view))

    def wanted(self, size: int) -> Window | None:
        """What is still to be given of an image of `size` bytes that can be read anywhere; at most WINDOW_MAX."""
        if not self._looks:
            return None
        self._raise_refusal()
        if not self._detected:
            known = len(self._head.data)
            if known < min(size, HEAD_BYTES):
                return Window(known, min(size, HEAD_BYTES) - known)
            self._guarded(self._begin)
        if self._capture is not None and self._capture.wanted < size:
            start = self._capture.wanted
            return Window(start, min(size - start, self._capture.window.length - len(self._capture.data)))
        if not self._tail.covers(size):
            length = min(size, TAIL_BYTES)
            return Window(size - length, length)
        return None

    def finish(self, size: int) -> Verdict:
        """All of the image, which has `size` bytes, has come by."""
        if not self._looks:
            return Verdict(None, None, None)
        self._raise_refusal()
        if not self._tail.covers(size):
            raise ValueError(f"the end of the image of {size} bytes was not given")
        verdict: list[Verdict] = []
        self._guarded(lambda: verdict.append(self._conclude(size)))
        return verdict[0]

    # -- as it comes by ----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """The head is known."""
        head = bytes(self._head.data)
        self._detected = _checked_format(self._said, head, self._bounds.fixed_vhd)
        self._passed = len(head)
        if self._detected in _PLANS:
            self._advance(_PLANS[self._detected](head))
        elif self._detected == "raw" and is_text(head):
            self._advance(_text(head))
        elif self._detected == "gpt":
            check_partitions(head)

    def _advance(self, plan: Plan, sent: bytes | None = None) -> None:
        """Up to a window that is not known yet, or the end."""
        self._plan, self._capture = plan, None
        try:
            window = next(plan) if sent is None else plan.send(sent)
            while True:
                capture = Capture(window, bytes(self._head.data), self._passed)
                if not capture.whole:
                    self._capture = capture
                    return
                self._passed = max(self._passed, window.offset + window.length)
                window = plan.send(bytes(capture.data))
        except StopIteration as end:
            self._finding = end.value

    def _fill(self, offset: int, view: memoryview) -> None:
        while self._capture is not None:
            self._capture.take(offset, view)
            if not self._capture.whole:
                return
            self._passed = max(self._passed, self._capture.wanted)
            assert self._plan is not None
            self._advance(self._plan, bytes(self._capture.data))

    # -- at the end --------------------------------------------------------------------------------------------------

    def _conclude(self, size: int) -> Verdict:
        if not self._detected:
            self._begin()
        while self._capture is not None:  # the image ends within it
            assert self._plan is not None
            self._passed = max(self._passed, self._capture.wanted)
            self._advance(self._plan, bytes(self._capture.data))
        tail = bytes(self._tail.data)
        if self._detected in _PLANS:
            return self._conclude_finding(size, tail)
        if self._said == "vhd":  # and it begins with nothing that is known
            disk = vhd.fixed_size(tail, size)
            self._check_bounds(disk, size)
            return Verdict("vhd", disk, disk)
        if self._said == "iso":
            return Verdict("iso", iso_virtual_size(bytes(self._head.data)), size)
        self._check_bounds(size, size)
        return Verdict(self._detected, size if self._said == "raw" else None, size)

    def _conclude_finding(self, size: int, tail: bytes) -> Verdict:
        finding = self._finding
        assert finding is not None
        self._check_bounds(max(finding.disk_size, finding.virtual_size or 0), size)
        _check_parts(finding, size)
        if finding.check_tail is not None:
            finding.check_tail(tail)
        return Verdict(self._detected, finding.virtual_size, finding.disk_size)

    def _check_bounds(self, disk: int, size: int) -> None:
        if disk > self._bounds.virtual_size:
            raise ImageRefusedError(f"the image's disk has {disk} bytes, and may have {self._bounds.virtual_size}")
        if self._bounds.ratio is not None and disk > size * self._bounds.ratio:
            raise ImageRefusedError(
                f"the image's disk has {disk} bytes, more than {self._bounds.ratio} for each of the image's {size}"
            )

    # -- refusals ----------------------------------------------------------------------------------------------------

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except ImageRefusedError as refusal:
            self._refusal, self._capture, self._plan = refusal, None, None
            raise

    def _raise_refusal(self) -> None:
        if self._refusal is not None:
            raise self._refusal


def _checked_format(said: str, head: bytes, fixed_vhd: bool) -> str:
    """The format of what begins so. Raises ImageRefusedError where it is none that may be called so."""
    found = marks(head)
    if found == {"iso", "gpt"}:  # to be booted from other media than discs
        found = frozenset({"iso"})
    if len(found) > 1:
        raise ImageRefusedError(f"the content is that of several formats at once: {', '.join(sorted(found))}")
    format_ = min(found, default="raw")
    allowed: tuple[str, ...] = (said,)
    if said == "raw":
        allowed = ("raw", "gpt", "iso")
    elif said == "vhd" and fixed_vhd:
        allowed = ("vhd", "raw", "gpt")
    elif said in RAW_KINDS or said not in DISK_FORMATS:
        allowed = ("raw",)
    if format_ not in allowed:
        raise ImageRefusedError(f"the content is {format_}, not {said} as it is said to be")
    return format_


def _text(head: bytes) -> Plan:
    """What begins as a text may be the descriptor of a VMDK, which names other files: wherever in it that is said."""
    text = head[:WINDOW_MAX]
    if len(head) == HEAD_BYTES:
        text += yield Window(HEAD_BYTES, WINDOW_MAX - HEAD_BYTES)
    if names_extents(text):
        raise ImageRefusedError("the content is the descriptor of a VMDK that has its content in other files")
    return Finding(None, 0)


def _check_parts(finding: Finding, size: int) -> None:
    """All lie in the image, and apart from each other."""
    parts = sorted((part for part in finding.parts if part.length), key=lambda part: part.offset)
    for part in parts:
        if part.end > size:
            raise ImageRefusedError(f"the image is cut off: its {part.name} ends behind it")
    for one, other in pairwise(parts):
        if one.end > other.offset:
            raise ImageRefusedError(f"the image's {one.name} overlaps with its {other.name}")
    if finding.reach > size:
        raise ImageRefusedError("the image is cut off: it has tables that lead behind its end")
