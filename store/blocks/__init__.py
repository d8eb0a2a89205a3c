"""Volumes: virtual disks as logs of what was written to them, over the store (docs/volumes.md).

Read `place` (where a block lies), `frame` (what the log is made of), `contents` (what a whole log object holds), then
`block_map` (which block lies where) over `page_table` (pages of it, in memory and in checkpoints). These are pure.
"""
