"""The ways in which images are imported."""

from __future__ import annotations

from typing import Final

GLANCE_DIRECT: Final = "glance-direct"
"""What was staged."""
WEB_DOWNLOAD: Final = "web-download"
COPY_IMAGE: Final = "copy-image"
"""Of an active image, into another store."""

METHODS: Final = (GLANCE_DIRECT, WEB_DOWNLOAD, COPY_IMAGE)
