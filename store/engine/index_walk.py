"""Reads every entry of an LMDB index, in a process that may die of it: `python -m store.engine.index_walk FOLDER`.

The free list is read too, by a write that is not committed. Ends with 0 where LMDB gave everything out.
"""

from __future__ import annotations

import os
import sys

import lmdb

from store.engine.index import open_environment


def main(folder: str) -> None:
    if not os.path.exists(os.path.join(folder, "data.mdb")):
        return
    with open_environment(folder) as environment:
        with environment.begin() as transaction:
            entries = sum(1 for _ in transaction.cursor())
            if entries != transaction.stat()["entries"]:
                raise SystemExit(f"{entries} entries of {transaction.stat()['entries']}")
        with environment.begin(write=True) as transaction:
            transaction.put(b"walk", b"")
            transaction.abort()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except lmdb.Error as error:
        raise SystemExit(str(error)) from error
