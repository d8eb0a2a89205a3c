"""One device on disk: an append-only log in segments, group commit, and an LMDB index that is a view of that log.

Read `record` (bytes of one record), `segment` (files of records), `committer` (how a write becomes durable), `memtable`
and `index` (how it is found), `recovery` (what a start makes of what a crash left), then `device`, which is the whole.
"""
