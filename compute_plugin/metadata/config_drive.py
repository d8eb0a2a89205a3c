"""The config drive: a CD with the documents, labelled so that guests find it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pycdlib import PyCdlib

LABEL: Final = "config-2"


def write_config_drive(path: str, documents: Mapping[str, bytes]) -> None:
    """Write an ISO 9660 image with Joliet and Rock Ridge to a file, whole or not at all. `documents`: by their
    paths."""
    made = PyCdlib()
    made.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    folders: dict[str, str] = {"": ""}
    for number, (name, text) in enumerate(sorted(documents.items())):
        *parents, last = name.split("/")
        at, plain = "", ""
        for parent in parents:
            inside = f"{at}/{parent}"
            if inside not in folders:
                folders[inside] = f"{plain}/D{len(folders)}"
                made.add_directory(folders[inside], rr_name=parent, joliet_path=inside)
            at, plain = inside, folders[inside]
        made.add_fp(io.BytesIO(text), len(text), f"{plain}/F{number}.;1", rr_name=last, joliet_path=f"{at}/{last}")
    part = Path(f"{path}.part")
    with part.open("wb") as file:
        made.write_fp(file)
    made.close()
    part.rename(path)
