"""The text in a VMDK that says which files have its content: it may name none but the image itself.

That a name in it was followed is CVE-2022-47951. Every line is one that is known here, or the image is refused.
"""

from __future__ import annotations

import re
from typing import Final

from image_registry.formats.errors import ImageRefusedError

CREATE_TYPES: Final = ("monolithicsparse", "streamoptimized")
"""Without regard to case, as all of the text."""
_FIELD: Final = re.compile(r"([a-z0-9_.]+)=(.*)|ddb(\.[^=]*)=.*")
_EXTENT: Final = re.compile(r'(?:rw|rdonly|noaccess)\s+[0-9]+\s+([a-z0-9]+)\s+"([^"]*)"(?:\s+[0-9]+)?')
_NO_PARENT: Final = ("ffffffff", "0xffffffff")
_LINES_MAX: Final = 1000
"""Of some thirty that there are."""
_SEPARATORS: Final = frozenset("/\\")
_OTHER_FILES: Final = "has its content in other files: send a VMDK that is one file"


def check_descriptor(data: bytes) -> None:
    """`data`: up to its first NUL. Raises ImageRefusedError."""
    try:
        text = data.partition(b"\0")[0].decode("ascii").lower()
    except UnicodeDecodeError as error:
        raise ImageRefusedError("the image is a VMDK whose descriptor is no ASCII") from error
    if text.count("\n") > _LINES_MAX:
        raise ImageRefusedError(f"the image is a VMDK with a descriptor of more than {_LINES_MAX} lines")
    fields: dict[str, str] = {}
    extents: list[str] = []
    for line in text.split("\n"):
        _read_line(line.strip(), fields, extents)
    kind = fields.get("createtype", "").strip('"')
    if kind not in CREATE_TYPES:
        raise ImageRefusedError(f"the image is a VMDK of the kind {kind[:40]!r}, not one of {', '.join(CREATE_TYPES)}")
    if text.count('createtype="') != 1:  # programs look for the first, wherever it is
        raise ImageRefusedError("the image is a VMDK that names its kind in no place, or in two, of its descriptor")
    if fields.get("parentcid", _NO_PARENT[0]) not in _NO_PARENT or "parentfilenamehint" in text:
        raise ImageRefusedError("the image has a backing file, as a VMDK with a parent: make it whole first")
    if len(extents) != 1:
        raise ImageRefusedError(f"the image is a VMDK with {len(extents)} extents, not one")
    _check_extent(extents[0])


def _read_line(line: str, fields: dict[str, str], extents: list[str]) -> None:
    if not line or line.startswith("#"):
        return
    if match := _FIELD.fullmatch(line):
        name = match[1] or f"ddb{match[3].strip()}"
        if name in fields:
            raise ImageRefusedError(f"the image is a VMDK that says {name[:40]!r} twice in its descriptor")
        fields[name] = match[2] or ""
    elif line.startswith(("rw ", "rdonly ", "noaccess ")):
        extents.append(line)
    else:
        raise ImageRefusedError("the image is a VMDK with a line in its descriptor that is not known here")


def _check_extent(line: str) -> None:
    match = _EXTENT.fullmatch(line)
    if match is None or match[1] != "sparse":
        raise ImageRefusedError(f"the image {_OTHER_FILES}")
    if not match[2] or _SEPARATORS & set(match[2]):
        raise ImageRefusedError("the image is a VMDK that names a file in another folder")
