"""Where the image registry keeps what in the registry.

images/image/<id>                 an image
images/incoming/<object>          bits that are received, or that nobody needs any more
images/process/<id>               a process that receives; the key is attached to its lease, and goes when that ends
images/volume/<name>              a sealed volume that nobody needs any more
images/metadef/namespace/<name>   a namespace of metadata definitions, with all that is in it
images/deleted/<id>               an image was called so, and no other ever is: see `Images.removal`
"""

from __future__ import annotations

from typing import Final

from store.registry import Span

IMAGES: Final = Span.prefix(b"images/image/")
INCOMING: Final = Span.prefix(b"images/incoming/")
PROCESSES: Final = Span.prefix(b"images/process/")
VOLUMES: Final = Span.prefix(b"images/volume/")
NAMESPACES: Final = Span.prefix(b"images/metadef/namespace/")


def image(id_: str) -> bytes:
    return f"images/image/{id_}".encode()


def incoming(object_: str) -> bytes:
    return f"images/incoming/{object_}".encode()


def process(id_: str) -> bytes:
    return f"images/process/{id_}".encode()


def volume(name: str) -> bytes:
    return f"images/volume/{name}".encode()


def namespace(name: str) -> bytes:
    return f"images/metadef/namespace/{name}".encode()


def deleted(id_: str) -> bytes:
    return f"images/deleted/{id_}".encode()
