"""Mistakes that somebody thought of, each with the tests that are to notice it.

The first group has changes that the suite once let through. Where the code changes under one, it is planted anew in the
code that has the same duty now.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant


def _planted(name: str, file: str, before: str, after: str, *tests: str) -> Mutant:
    return Mutant(name, file, before, after, (tests,))


LET_THROUGH_ONCE: Final = [
    _planted(
        "revocations swept early",
        "authn/tokens.py",
        "horizon = self._now_us() // 1_000_000 - SKEW_SECONDS",
        "horizon = self._now_us() // 1_000_000",
        "tests/authn/test_tokens.py",
    ),
    _planted(
        "a revocation swept in the last second that it is kept",
        "authn/tokens.py",
        "if expires_s < horizon",
        "if expires_s <= horizon",
        "tests/authn/test_tokens.py",
    ),
    _planted(
        "project epoch ignored",
        "authn/tokens.py",
        " or project.epoch != token.project_epoch",
        "",
        "tests/authn/test_tokens.py",
    ),
    _planted(
        "a project's disabled domain admitted",
        "authn/tokens.py",
        " or not view.domain_enabled(project.domain_id)",
        "",
        "tests/authn/test_tokens.py",
    ),
    _planted(
        "a signed PUT sets a symlink",
        "gateway/swift/tempurl.py",
        'b"x-symlink-target", ',
        "",
        "tests/gateway_swift/test_tempurl.py",
    ),
    _planted(
        "an expired object served a second more",
        "store/objects/store.py",
        "row.expires > self._now()",
        "row.expires >= self._now()",
        "tests/objects/test_contract.py",
    ),
    _planted(
        "an expired object listed a second more",
        "store/objects/listing.py",
        "row.expires > now_seconds",
        "row.expires >= now_seconds",
        "tests/objects/test_contract.py",
    ),
    _planted(
        "one head field too many",
        "gateway/http/head.py",
        "if lines - 2 > limits.fields",
        "if lines - 3 > limits.fields",
        "tests/gateway_http/test_head.py",
    ),
    _planted(
        "one head field too few",
        "gateway/http/head.py",
        "if lines - 2 > limits.fields",
        "if lines - 2 >= limits.fields",
        "tests/gateway_http/test_head.py",
    ),
    _planted(
        "one head field too many while it is under way",
        "gateway/http/head.py",
        "if lines - 1 > limits.fields",
        "if lines - 2 > limits.fields",
        "tests/gateway_http/test_head.py",
    ),
    _planted(
        "a head field of one byte less",
        "gateway/http/head.py",
        "if len(name) + len(value) > limits.field_bytes",
        "if len(name) + len(value) >= limits.field_bytes",
        "tests/gateway_http/test_head.py",
    ),
    _planted(
        "a head field of one byte more",
        "gateway/http/head.py",
        "if len(name) + len(value) > limits.field_bytes",
        "if len(name) + len(value) > limits.field_bytes + 1",
        "tests/gateway_http/test_head.py",
    ),
    _planted(
        "a range read not verified",
        "store/engine/reads.py",
        "        verify_payload(sums, piece, first)\n",
        "",
        "tests/engine/test_block_ranges.py",
    ),
    _planted(
        "a range verified by the sums of another",
        "store/engine/reads.py",
        "verify_payload(sums, piece, first)",
        "verify_payload(sums, piece, 0)",
        "tests/engine/test_block_ranges.py",
    ),
    _planted(
        "the expirer does not look again",
        "store/replicator/expire.py",
        "if found is None or not found.row.live or not 0 < found.row.expires <= now:",
        "if found is None:",
        "tests/replicator/test_expire.py",
    ),
    _planted(
        "the expirer does not look whether there is still an end",
        "store/replicator/expire.py",
        "not 0 < found.row.expires <= now",
        "not found.row.expires <= now",
        "tests/replicator/test_expire.py",
    ),
    _planted(
        "an upload acknowledged one device short",
        "store/objects/upload.py",
        "_Vote(self.placement.needed, on_last)",
        "_Vote(self.placement.needed - 1, on_last)",
        "tests/objects/test_durable_uploads.py",
    ),
    _planted(
        "an upload goes on one device short",
        "store/objects/upload.py",
        "        if len(left) < needed:\n",
        "        if len(left) < needed - 1:\n",
        "tests/objects/test_durable_uploads.py",
    ),
    _planted(
        "erasure-coded data acknowledged without a fragment to spare",
        "store/objects/placement.py",
        "needed = min(k + 1, k + m)",
        "needed = k",
        "tests/objects/test_durable_uploads.py",
    ),
    _planted(
        "moved blocks not synced before the row",
        "store/replicator/rebalance.py",
        "            await self._store.devices[number].sync_data(lost)\n",
        "            pass\n",
        "tests/replicator/test_moves.py",
    ),
    _planted(
        "quorum off by one at even widths",
        "store/ring/quorum.py",
        "copies // 2 + 1",
        "(copies + 1) // 2",
        "tests/objects/test_ballot.py",
    ),
    _planted(
        "a write's quorum off by one at even widths",
        "store/objects/ballot.py",
        "if count < quorum(len(homes))",
        "if count < (len(homes) + 1) // 2",
        "tests/objects/test_ballot.py",
    ),
    _planted(
        "a tombstone forgotten though a replica has no row",
        "store/replicator/tombstones.py",
        "await replica.find_stamp(packed) != stamp:",
        "await replica.find_stamp(packed) not in (stamp, None):",
        "tests/replicator/test_collect.py",
    ),
]

PLANTED: Final = [*LET_THROUGH_ONCE]
