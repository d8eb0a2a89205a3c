"""Drawn mutants that may survive, by name, each with the reason why no test could or should notice it."""

from __future__ import annotations

from typing import Final

ACCEPTED: Final[dict[str, str]] = {
    "store/objects/upload.py DataUpload._flush_block: size is not None and size < BLOCK_BYTES -> (size is not None)": (
        "the same: what is left at the end, where no block was sent before, is less than one, or it had been sent"
    ),
}
