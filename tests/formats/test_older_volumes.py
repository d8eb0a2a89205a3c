"""A data folder of an older program that has volumes opens unchanged: volumes, snapshots and clones are listed, and
have in them what was written.

`volume_folders/1` was made by the first commit of which such samples were kept, with

    python -m tests.formats.make_volume_folder tests/formats/volume_folders/1

`closed` by a process that was stopped, and `crashed` by one that was killed while two of them were open, with writes
that were answered and not flushed. `make_volume_samples` has the single forms.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from tests.formats.make_folder import content
from tests.formats.make_volume_folder import EXPORTS, MIB, PAGE, ask, typed
from tests.process.disk import Disk
from tests.process.program import running

FOLDERS = Path(__file__).parent / "volume_folders"


def unpacked(archive: Path, to: Path) -> dict[str, object]:
    """What the older program said of it."""
    with tarfile.open(archive) as packed:
        if hasattr(tarfile, "data_filter"):  # which Python 3.11.4 brought
            packed.extraction_filter = tarfile.data_filter
        packed.extractall(to)
    said: dict[str, object] = json.loads((to / "answers.json").read_text())
    return said


@pytest.mark.process
@pytest.mark.parametrize("how", ["closed", "crashed"])
@pytest.mark.parametrize("made", sorted(path.name for path in FOLDERS.iterdir()))
def test_volumes_of_an_older_folder_have_in_them_what_was_written(made: str, how: str, tmp_path: Path) -> None:
    said = unpacked(FOLDERS / made / f"{how}.tar.xz", tmp_path)
    with running(tmp_path / "data") as program:
        assert ask(program) == said
        with Disk(program.folder, "web") as disk:
            assert disk.read(0, PAGE) == content("after tuesday", PAGE)
            assert disk.read(PAGE, 2 * PAGE) == content("tuesday", 2 * PAGE)
            assert disk.read(3 * MIB + 100, 5000) == content("part of a block", 5000)
            later = content("web 1048576", 3 * PAGE)
            if how == "crashed":
                later = content("flushed", PAGE) + content("not flushed", 2 * PAGE)
            assert disk.read(MIB, 3 * PAGE) == later
            disk.write(0, b"n" * PAGE, durable=True)
            assert disk.read(0, PAGE) == b"n" * PAGE
        with Disk(program.folder, "second") as disk:
            assert disk.read(MIB, 3 * PAGE) == content("copy", 2 * PAGE) + content("web 1048576", 3 * PAGE)[2 * PAGE :]
            first = content("not flushed either" if how == "crashed" else "web 0", PAGE)
            assert disk.read(0, PAGE) == first
        with Disk(program.folder, "web@monday") as disk:
            assert disk.read(0, 3 * PAGE) == content("web 0", 3 * PAGE)
        typed(program, "flatten", "second")
        typed(program, "delete", "web")
        typed(program, "delete", "copy")
        with Disk(program.folder, "second") as disk:
            assert disk.read(0, PAGE) == first
            assert disk.read(MIB, 2 * PAGE) == content("copy", 2 * PAGE)
        assert program.stop() == 0
        checked = program.command("device", "check")
        assert checked.returncode == 0, checked.stdout


def test_what_is_kept_of_older_volumes_says_enough() -> None:
    """Not an empty sample: nothing would be noticed."""
    with tarfile.open(FOLDERS / "1" / "closed.tar.xz") as archive:
        packed = archive.extractfile("answers.json")
        assert packed is not None
        said = json.loads(packed.read())
    assert len({said[export]["sha256"] for export in EXPORTS}) == 6 - 1  # copy is as its snapshot has it
    assert said["copy"] == said["copy@own"]
    assert [row["name"] for row in said["list"]] == ["copy", "second", "web"]
    assert [row["clones"] for row in said["snapshots of web"]] == [1, 0]
