"""Placement's API at `/placement`, as far as stock clients look at it: what hosts have, and what servers take of it.

It is read alone: hosts say what they have by their agents, and servers claim it when they are placed, in the same
transaction (docs/servers.md). `app` is the application, `rows` what there is.
"""
