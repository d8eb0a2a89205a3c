"""Limits, each with its reason. Whatever a stranger can make grow has its bound here."""

NAME_BYTES_MAX = 1024
"""An object's name. Swift and S3 both stop at 1,024 bytes."""

INLINE_BYTES_MAX = 64 * 1024
"""Data kept in its row: one checksum's worth, so that a row is one record and one verified read."""

CHECK_BYTES = 64 * 1024
"""Payload under one checksum: a range read verifies just what it returns; smaller costs more sums than it saves."""

BLOCK_BYTES = 1024 * 1024
"""A block of replicated data and a stripe of erasure-coded data. MinIO went from 10 MiB to 1 MiB for range reads."""

ERASURE_BYTES_MIN = 1024 * 1024
"""Objects below this stay replicated under an erasure-coded policy: fragments of kilobytes cost more than they save."""

RECORD_BYTES_MAX = 4 * 1024 * 1024
"""A whole record. Above any that we write; a length over it is damage, and recovery never allocates on its word."""

LISTING_ROWS_MAX = 10_000
"""Rows in one page of a listing, as in Swift."""
