"""The reading of dumps: what is missing is found, and what may be missing is not."""

from __future__ import annotations

from tests.cluster.redundancy import lacking

TABLE = "00" * 16
ROW = "  4096: seq 7, 512 bytes, row {table}/0 b'{name}' at {time}.9 {flags} 4 bytes"
BLOCK = "  8192: seq 7, 512 bytes, block {block}/0 of {data} for b'{name}'"


def row(name: str, time: int, flags: str = "-") -> str:
    return ROW.format(table=TABLE, name=name, time=time, flags=flags)


def block(name: str, data: str, number: int = 0) -> str:
    return BLOCK.format(block=number, data=data, name=name)


def test_the_newest_version_of_a_row_is_to_be_everywhere() -> None:
    everywhere = {device: [row("a", 1), row("a", 2)] for device in range(3)}
    assert lacking(everywhere, 3) == []
    assert lacking({**everywhere, 2: [row("a", 1)]}, 3) == [f"row {TABLE}/0 b'a' at (2, 9) is on [0, 1]"]
    assert lacking({**everywhere, 3: [row("a", 3)]}, 3) == [f"row {TABLE}/0 b'a' at (3, 9) is on [3]"]


def test_what_was_deleted_or_never_ended_is_not_asked_for() -> None:
    quoted = row("x", 1).replace("b'x'", 'b"\\x00u\'"')  # as a name with a quote is printed
    deleted = [row("a", 2, "tombstone"), row("\\x00uid", 1), row("b", 1, "tombstone, conditional")]
    once = {0: [quoted, *deleted], 1: [row("a", 1)]}
    assert lacking(once, 3) == []


def test_all_blocks_of_some_data_are_to_be_everywhere() -> None:
    whole = [row("a", 1, "data"), block("a", "aa"), block("a", "aa", 1)]
    dumps = {device: list(whole) for device in range(3)}
    assert lacking(dumps, 3) == []
    dumps[1].remove(block("a", "aa", 1))
    assert len(lacking(dumps, 3)) == 1
    for lines in dumps.values():
        lines.append(block("a", "bb").replace("b'a'", "b'a', the payload at 1 of segment 2"))
    assert lacking(dumps, 3) == [], "what was overwritten may be gone"
    assert len(lacking({device: [row("a", 1, "expires, data")] for device in range(3)}, 3)) == 1
