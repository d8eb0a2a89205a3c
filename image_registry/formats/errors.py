"""Why an image is not taken."""

from __future__ import annotations

from store.core.errors import InvalidError


class ImageRefusedError(InvalidError):
    """The content is not what it is said to be, or is not safe to open. Its text is for whoever sent the image."""


class BackwardsError(ImageRefusedError):
    """A structure lies before what leads to it: no stream can be looked through for that."""


def cut_off(what: str) -> ImageRefusedError:
    """The image ends within `what`."""
    return ImageRefusedError(f"the image is cut off: it ends within {what}")
