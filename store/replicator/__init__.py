"""Promises kept over time: every loop that may wake up at night is one file here, of the shape of `daemon`.

`in_doubt` decides what a crash left undecided, `hints` bring devices what they missed, `repair` mends what a read or
the scrubber found bad, `upload_janitor` ends uploads that nobody will end, `expire` deletes what has expired, `collect`
gives space back and `tombstones` forgets what is deleted everywhere, `scrub` re-reads everything and `orphans` drops
what nobody names, `rejoin` brings a device back in sync, `rebalance` follows the ring. They stand on `restore` (what a
device lacks is written to it), `exchange` (rows of one device in line with the others) and `drop`. `replicator` has
them all. Each reports what is done and left to the same table (`progress`). Nothing here deletes the last good copy.
"""
