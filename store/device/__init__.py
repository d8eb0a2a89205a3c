"""The seam of a device: what it is to all who use it, and the values that go through.

Read `port` (the promise), then `row`, `block` and `record` (what goes through it, and its bytes). `store.engine` keeps
the promise for a device of this process; nobody outside it knows how.
"""
