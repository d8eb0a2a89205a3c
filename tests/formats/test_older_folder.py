"""A data folder of an older program opens unchanged: all that was in it is there, byte for byte, and is listed.

`folders/1` was made by the commit 1062a9d, the first of which samples were kept, with

    python -m tests.formats.make_folder tests/formats/folders/1

It has objects in rows and in blocks, replicated and coded, tombstones, expiry, metadata, copies that share blocks,
versions, a large object of segments, and a symlink; `closed` by a process that was stopped, and `crashed` by one that
was killed with rows and blocks in its log that its index did not have. `make_samples` has the single forms.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.formats.make_folder import ask, behind, content
from tests.process.program import Client, running
from tests.process.test_faults import status

FOLDERS = Path(__file__).parent / "folders"


@pytest.mark.process
@pytest.mark.parametrize("how", ["closed", "crashed"])
@pytest.mark.parametrize("made", sorted(path.name for path in FOLDERS.iterdir()))
def test_an_older_folder_opens_with_all_that_was_in_it(made: str, how: str, tmp_path: Path) -> None:
    with tarfile.open(FOLDERS / made / f"{how}.tar.xz") as archive:
        if hasattr(tarfile, "data_filter"):  # which Python 3.11.4 brought
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(tmp_path)
    said = json.loads((tmp_path / "answers.json").read_text())
    devices = sorted((tmp_path / "data" / "devices").iterdir())
    assert [behind(device) > 0 for device in devices] == [how == "crashed"] * 4
    with running(tmp_path / "data") as program:
        with closing(Client(program)) as client:
            found = ask(client, list(said))
            assert {path: found[path] for path in said if found[path] != said[path]} == {}
            large = client.object("GET", "things/large").body
            assert large == content("things/large", 2_500_000)
            assert client.object("PUT", "things/new", b"data").status == 201
            assert client.object("GET", "things/new").body == b"data"
            assert "new" in client.listing("things")
        assert [(device["state"], device["damages"]) for device in status(program)["devices"]] == [("ok", 0)] * 4
        assert program.stop() == 0
        checked = program.command("device", "check")
        assert checked.returncode == 0, checked.stdout


def test_what_is_kept_of_older_folders_says_enough() -> None:
    """Not an empty sample: nothing would be noticed."""
    with tarfile.open(FOLDERS / "1" / "closed.tar.xz") as archive:
        packed = archive.extractfile("answers.json")
        assert packed is not None
        said = json.loads(packed.read())
    assert len(said) > 60
    assert {answer["status"] for answer in said.values()} == {200, 204, 404}
    assert said["coded/large"]["sha256"] == hashlib.sha256(content("coded/large", 1_800_000)).hexdigest()
