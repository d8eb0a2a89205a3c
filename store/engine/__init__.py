"""One device on disk: an append-only log in segments, group commit, and an LMDB index that is a view of that log.

Read `record` (bytes of one record), `segment` (files of records), `committer` (how a write becomes durable),
`memtable`, `index` and `merged_index` (how it is found), `row_table`, `promise_table`, `block_table` and `data_fences`
(what is known of rows, promises, blocks, and of data that are fenced), `kinds` (what each kind of record needs),
`flush` (how the index follows the log), `recovery` and `replay` (what a start makes of what a crash left),
`maintenance` (what goes on meanwhile), then `parts`, `row_calls`, `block_calls`, `fence_calls` and `device`, which are
the whole, and `opening`.
"""
