"""Makes the data folders that `test_older_folder` opens: run by hand, with the program whose folders are to be kept.

python -m tests.formats.make_folder FOLDER

leaves FOLDER/closed.tar.xz, of a process that was stopped, and FOLDER/crashed.tar.xz, of one that was killed while its
index was behind its log. Each holds `data`, the data folder, and `answers.json`: what the program said of every object
and listing before. Samples are never made anew: a new form of what is stored gets new ones beside them.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from store.core.disk import SystemDisk
from store.device.record import Kind
from store.engine.committer import PreviousSegment
from store.engine.index import LmdbIndex
from store.engine.merged_index import MergedIndex
from store.engine.recovery import Tail, read_log
from store.engine.segment import Segments
from tests.process.program import Answer, Client, Program

KEPT = ("etag", "content-length", "content-type", "last-modified", "content-encoding", "content-disposition")
KEPT_BEGINNINGS = ("x-object-", "x-container-", "x-account-", "x-delete-at", "x-static-", "x-timestamp", "x-versions-")
DELETE_AT = "4000000000"

Asked = dict[str, dict[str, object]]


def content(name: str, size: int) -> bytes:
    """Bytes of an object: easy to press, and none like another's."""
    line = hashlib.sha256(name.encode()).hexdigest().encode() + b"\n"
    return (line * (size // len(line) + 1))[:size]


class Filling:
    """Requests that fill a folder, and what there is to be asked afterwards."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.paths = ["", "?format=json"]

    def do(self, method: str, path: str, body: bytes = b"", query: str = "", **headers: str) -> Answer:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        target = f"{self._client._program.account}/{quote(path)}{query}"
        answer = self._client.ask(method, target, body, {"X-Auth-Token": self._client._program.token, **names})
        assert answer.status in (200, 201, 202, 204), (method, path, answer)
        return answer

    def container(self, name: str, **headers: str) -> None:
        self.do("PUT", name, b"", "", **headers)
        self.paths += [quote(name), f"{quote(name)}?format=json"]

    def put(self, path: str, size: int = 100, **headers: str) -> None:
        self.do("PUT", path, content(path, size), "", **headers)
        self.known(path)

    def known(self, path: str) -> None:
        if quote(path) not in self.paths:
            self.paths.append(quote(path))


def fill(client: Client) -> list[str]:
    """Every kind of thing that is stored. Returns what is to be asked."""
    to = Filling(client)
    to.container("things", X_Container_Meta_Shelf="third", X_Container_Read=".r:*")
    for number in range(30):
        to.put(f"things/small {number:02}", 50 + 300 * number)
    to.put("things/empty", 0)
    to.put("things/in the row", 65_536)
    to.put("things/größer als groß/☃", 5, Content_Type="text/plain; charset=utf-8")
    to.put("things/" + "long" * 200, 700)
    to.put("things/" + "long" * 200 + "er", 701)
    to.put("things/expires", 10, X_Delete_At=DELETE_AT)
    to.put("things/with words", 10, X_Object_Meta_Colour="grey", X_Object_Meta_Note="x" * 200, Content_Encoding="gzip")
    to.do("POST", "things/small 03", X_Object_Meta_Later="yes")
    to.put("things/twice", 10)
    to.put("things/twice", 20_000)
    to.put("things/large then small", 1_500_000)
    to.put("things/large then small", 33)
    for gone in ("small 07", "small 08"):
        to.do("DELETE", f"things/{gone}")
    to.put("things/large", 2_500_000)
    to.do("PUT", "things/copy of large", X_Copy_From="things/large")
    to.known("things/copy of large")
    to.put("things/large and gone", 1_100_000)
    to.do("DELETE", "things/large and gone")
    to.container("coded", X_Storage_Policy="archive")
    to.put("coded/small")
    to.put("coded/large", 1_800_000, X_Object_Meta_Kind="coded")
    to.do("PUT", "coded/copy", X_Copy_From="coded/large")
    to.known("coded/copy")
    to.container("kept", X_Versions_Enabled="true")
    for size in (10, 1_050_000, 30):
        to.put("kept/one", size)
    to.put("kept/two")
    to.do("DELETE", "kept/two")
    to.paths.append("kept?versions&format=json")
    to.container("parts")
    manifest = []
    for number in range(2):
        to.put(f"parts/{number}", 1_200_000)
        data = content(f"parts/{number}", 1_200_000)
        manifest.append({"path": f"parts/{number}", "etag": hashlib.md5(data).hexdigest(), "size_bytes": len(data)})
    to.do("PUT", "parts/whole", json.dumps(manifest).encode(), "?multipart-manifest=put")
    to.paths += ["parts/whole", "parts/whole?multipart-manifest=get"]
    to.do("PUT", "parts/link", X_Symlink_Target="things/large")
    to.paths += ["parts/link", "parts/link?symlink=get"]
    to.container("empty")
    to.container("gone")
    to.do("DELETE", "gone")
    return to.paths


def fill_more(client: Client) -> list[str]:
    """Some of everything, quickly: the index is not written before it is all there."""
    to = Filling(client)
    to.put("things/late", 1000)
    to.put("things/late and large", 1_300_000)
    to.put("things/twice", 7)
    to.put("coded/late", 1_300_000)
    to.do("PUT", "things/late copy", X_Copy_From="things/late and large")
    to.known("things/late copy")
    to.do("DELETE", "things/small 09")
    to.do("DELETE", "things/expires")
    to.put("kept/one", 44)
    to.do("POST", "things/small 04", X_Object_Meta_Later="still")
    return to.paths


def ask(client: Client, paths: list[str]) -> Asked:
    """What is said of each path: status, headers that are of the thing itself, and what the body is."""
    said: Asked = {}
    for path in paths:
        target = (
            f"{client._program.account}/{path}" if path[:1] not in ("", "?") else f"{client._program.account}{path}"
        )
        answer = client.ask("GET", target, headers={"X-Auth-Token": client._program.token})
        headers = {name: value for name, value in answer.headers.items() if is_kept(name)}
        said[path] = {"status": answer.status, "headers": headers, "sha256": hashlib.sha256(answer.body).hexdigest()}
    return said


def is_kept(name: str) -> bool:
    return name in KEPT or name.startswith(KEPT_BEGINNINGS)


def behind(device: Path) -> int:
    """How many rows the log of a device has beyond its index."""
    disk = SystemDisk(str(device))
    index = LmdbIndex(str(device / "index"))
    try:
        position = MergedIndex(index).position(b"log")
        records = read_log(Segments(disk, 0), position, Tail(PreviousSegment(0, 0, 0)))
        return sum(found.header.kind == Kind.ROW for found in records)
    finally:
        index.close()
        disk.close()


def pack(folder: Path, said: Mapping[str, object], archive: Path) -> None:
    (folder / "answers.json").write_text(json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False))
    names = ["--exclude=*.sock", "answers.json", "data"]
    subprocess.run(
        ["tar", "-C", folder, "--sparse", "--format=gnu", "-cJf", archive, *names],
        check=True,
        env={"XZ_OPT": "-9e", "PATH": "/usr/bin:/bin"},
    )


def main(to: Path) -> None:
    to.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # Of the two erasure codecs the one that every machine has.
        (folder / "sitecustomize.py").write_text('import sys\n\nsys.modules["pyeclib"] = None\n')
        options = ("--devices", "4", "--policy", "standard=3", "--policy", "archive=2+1")
        program = Program(folder / "data", *options, environment={"PYTHONPATH": temporary})
        program.start()
        with closing(Client(program)) as client:
            paths = fill(client)
            said = ask(client, paths)
        assert program.stop() == 0
        pack(folder, said, to / "closed.tar.xz")
        program.start()
        with closing(Client(program)) as client:
            more = fill_more(client)
            program.kill()
        rows = [behind(folder / "data" / "devices" / str(number)) for number in range(4)]
        assert min(rows) > 3, f"the index came too soon: {rows} rows behind it"
        subprocess.run(["cp", "-a", "--sparse=always", folder / "data", folder / "aside"], check=True)
        program.start()
        with closing(Client(program)) as client:
            said = ask(client, [*paths, *(path for path in more if path not in paths)])
        program.kill()
        subprocess.run(["rm", "-r", folder / "data"], check=True)
        (folder / "aside").rename(folder / "data")
        pack(folder, said, to / "crashed.tar.xz")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
