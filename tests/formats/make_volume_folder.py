"""Makes the data folders with volumes that `test_older_volumes` opens: run by hand, with the program whose folders are
to be kept.

python -m tests.formats.make_volume_folder FOLDER

leaves FOLDER/closed.tar.xz, of a process that was stopped, and FOLDER/crashed.tar.xz, of one that was killed while a
volume and a clone were open and had writes that nobody had flushed. Each is as those of `make_folder` are. They are
never made anew: a new form of what is stored gets new ones beside them.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.formats.make_folder import content, pack
from tests.process.disk import Disk
from tests.process.program import Program

MIB = 1 << 20
PAGE = 4096
SIZE = 4 * MIB
EXPORTS = ("web", "web@monday", "web@tuesday", "copy", "copy@own", "second")


def fill(program: Program) -> None:
    """A volume that was written, kept, and written on; a clone of it that has a snapshot of its own; a clone of that
    one; and a volume that has another name than it was made with."""
    typed(program, "create", "first", "--size", "4M")
    typed(program, "rename", "first", "web")
    with Disk(program.folder, "web") as disk:
        for at in range(0, 2 * MIB, MIB // 4):  # with gaps that nobody wrote
            disk.write(at, content(f"web {at}", 3 * PAGE))
        disk.flush()
        typed(program, "snapshot", "web", "monday")
        disk.write(PAGE, content("tuesday", 2 * PAGE))
        disk.write(3 * MIB + 100, content("part of a block", 5000), durable=True)
        typed(program, "snapshot", "web", "tuesday")
        disk.write(0, content("after tuesday", PAGE))
        disk.flush()
    typed(program, "clone", "web@monday", "copy", "--size", "5M")
    with Disk(program.folder, "copy") as disk:
        disk.write(MIB, content("copy", 2 * PAGE))
        disk.write(4 * MIB + PAGE, content("grown", PAGE))
        typed(program, "snapshot", "copy", "own")
    typed(program, "clone", "copy@own", "second")
    with Disk(program.folder, "second") as disk:
        disk.write(2 * MIB, content("second", PAGE))
        disk.flush()


def ask(program: Program) -> dict[str, object]:
    """What is said of volumes, and what is in them."""
    said: dict[str, object] = {}
    for export in EXPORTS:
        with Disk(program.folder, export) as disk:
            data = b"".join(disk.read(at, MIB) for at in range(0, disk.size, MIB))
        said[export] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    for name in ("web", "copy"):
        said[f"snapshots of {name}"] = json.loads(typed(program, "snapshots", name, "--json"))
    rows = json.loads(typed(program, "list", "--json"))
    kept = ("name", "size", "policy", "window_us")
    said["list"] = [{key: row[key] for key in kept} for row in rows]
    return said


def typed(program: Program, *arguments: str) -> str:
    done = program.command("volume", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def main(to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        program = Program(folder / "data", "--devices", "4")
        program.start()
        fill(program)
        said = ask(program)
        assert program.stop() == 0
        pack(folder, said, to / "closed.tar.xz")
        program.start()
        with Disk(program.folder, "web") as disk, Disk(program.folder, "second") as other:
            disk.write(MIB, content("flushed", PAGE))
            disk.flush()
            disk.write(MIB + PAGE, content("not flushed", 2 * PAGE))
            other.write(0, content("not flushed either", PAGE))
            program.kill()
        subprocess.run(["cp", "-a", "--sparse=always", folder / "data", folder / "aside"], check=True)
        program.start()
        said = ask(program)
        program.kill()
        subprocess.run(["rm", "-r", folder / "data"], check=True)
        (folder / "aside").rename(folder / "data")
        pack(folder, said, to / "crashed.tar.xz")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
