"""Promises kept over time: every loop that may wake up at night is one file here.

`doubts` decides what a crash left undecided, `collect` gives space back, `settle` ends uploads that nobody will end,
`expire` deletes what has expired, `repair` mends what a read or the scrubber found bad, `scrub` re-reads everything,
`reconcile` brings a device back to trust.
Each reports what is done and left to the same table (`progress`). Nothing here deletes the last good copy.
"""
