"""Mistakes that somebody thought of. Where the code changes under one, it is planted anew in the code that has the same
duty now."""

from __future__ import annotations

from typing import Final

from tests.mutants.let_through import LET_THROUGH_ONCE
from tests.mutants.mutant import planted

IDENTITY: Final = [
    planted("user epoch ignored", "authn/tokens.py", "            or user.epoch != token.user_epoch\n", ""),
    planted("a disabled user admitted", "authn/tokens.py", "            or not user.enabled\n", ""),
    planted(
        "a user's disabled domain admitted",
        "authn/tokens.py",
        "            or not snapshot.domain_enabled(user.domain_id)\n",
        "",
    ),
    planted("a token without roles admitted", "authn/tokens.py", "if not roles or not snapshot", "if not snapshot"),
    planted(
        "a token read in the second of its end",
        "authn/tokens.py",
        "token.expires_s * 1_000_000 > now_us",
        "token.expires_s * 1_000_000 >= now_us",
    ),
    planted(
        "a cached token used in the second of its end",
        "authn/tokens.py",
        "known.expires_at * 1_000_000 > self._now_us()",
        "known.expires_at * 1_000_000 >= self._now_us()",
    ),
    planted(
        "a token that outlives the one it was made from",
        "authn/tokens.py",
        "expires_s=parent.expires_s if parent else now_s + self._lifetime_s",
        "expires_s=now_s + self._lifetime_s",
    ),
    planted("changes not told to the token cache", "authn/tokens.py", "        self._cache.on_change(change)\n", ""),
    planted(
        "a token cached under its user and project alone",
        "authn/token_cache.py",
        "token.user_id, token.project_id, token.audit_ids[0])",
        "token.user_id, token.project_id)",
    ),
    planted(
        "a password changed while it was verified",
        "authn/login.py",
        " or present.password_hash != hashed",
        "",
        "tests/authn/test_login.py",
    ),
    planted("one guess more", "authn/throttle.py", "if over >= 0 else", "if over > 0 else"),
]

ENGINE: Final = [
    planted("the log not synced", "store/engine/committer.py", "            file.sync()\n", ""),
    planted(
        "a failed log segment written on",
        "store/engine/committer.py",
        "        self._file = None\n        error: DrystoneError",
        "        error: DrystoneError",
        "tests/engine/test_failed_segments.py",
    ),
    planted("data not synced", "store/engine/bulk.py", "                file.sync()\n", "                pass\n"),
    planted(
        "lost blocks synced for whoever wrote them",
        "store/engine/bulk.py",
        "        if losses != self.losses:",
        "        if losses > self.losses:",
    ),
    planted(
        "an older version wins",
        "store/engine/row_table.py",
        "if here > stamp:\n            return self._newer(packed, stamp, before)",
        "if before is not None and here < stamp:\n            return self._newer(packed, stamp, before)",
    ),
    planted(
        "the same version again is taken for an older one",
        "store/engine/row_table.py",
        "if here > stamp:\n            return self._newer(packed, stamp, before)",
        "if here >= stamp:\n            return self._newer(packed, stamp, before)",
        "tests/engine/test_row_table.py",
    ),
    planted(
        "a version as old as a forgotten tombstone is taken",
        "store/engine/row_table.py",
        "            if here == stamp:\n",
        "            if False:\n",
    ),
    planted(
        "a tombstone forgotten without a trace",
        "store/engine/row_table.py",
        "        self._forgotten[packed] = note\n",
        "",
        "tests/engine",
        "tests/replicator",
    ),
    planted(
        "a drop that a device missed not left for it",
        "store/replicator/collect.py",
        "                if out:\n",
        "                if not places:\n",
    ),
    planted(
        "an intent left where a commit was missed",
        "store/objects/rows.py",
        "            if quorum_write.row.flags & Flag.GUARD:\n",
        "            if not lacking:\n",
        "tests/objects/test_rows.py",
    ),
    planted(
        "what a crash left at one replica left there",
        "store/objects/rows.py",
        "        if len(having) < len(found):\n",
        "        if not having:\n",
        "tests/replicator/test_in_doubt.py",
    ),
    planted(
        "an upload that was given up commits",
        "store/engine/row_table.py",
        'return "aborted" if intent is not None and intent.flags & Flag.ABORT else ""',
        'return ""',
        "tests/engine/test_row_table.py",
    ),
    planted(
        "displaced data not noted",
        "store/engine/row_table.py",
        "if before.flags & Flag.DATA and before.data_id != row.data_id:",
        "if before.flags & Flag.DATA and before.data_id == row.data_id:",
    ),
    planted(
        "data still named counted as displaced",
        "store/engine/row_table.py",
        "if before.flags & Flag.DATA and before.data_id != row.data_id:",
        "if before.flags & Flag.DATA:",
        "tests/engine/test_row_table.py",
    ),
    planted(
        "a request of an older ring taken",
        "store/engine/row_calls.py",
        "if epoch < self.standing.enforced:",
        "if epoch < self.standing.enforced - 1:",
    ),
    planted(
        "the refusal of older rings not kept over a restart",
        "store/engine/standing.py",
        "self._superblock._replace(enforced=max(epoch, self._superblock.enforced))",
        "self._superblock",
    ),
    planted(
        "a record of an unknown kind taken for one of which nothing is to be done",
        "store/engine/replay.py",
        "            except NewerError:\n                raise\n            except DamageError as error:\n"
        "                self.tail",
        "            except DamageError as error:\n                self.tail",
        "tests/engine/test_kinds.py",
    ),
    planted(
        "a segment with a record of an unknown kind emptied",
        "store/engine/compaction.py",
        "            self._hold(found, error)\n",
        "            log.debug('left', error=error)\n",
        "tests/engine/test_kinds.py",
    ),
    planted(
        "a segment of a newer program taken for a damaged one",
        "store/engine/recovery.py",
        "        refuse_newer(segments.file(segment).read(0, FIRST_OFFSET), segment)\n",
        "        pass\n",
        "tests/engine/test_kinds.py",
    ),
    planted(
        "a row's payload not verified",
        "store/device/record.py",
        "    verify_payload(sums, payload)\n    return header",
        "    return header",
    ),
]

OBJECTS: Final = [
    planted(
        "a refusal counted as an answer",
        "store/objects/quorum_write.py",
        "if applied is None or applied.refused or applied.barred:",
        "if applied is None or applied.barred:",
    ),
    planted(
        "a quorum of one layout is enough",
        "store/objects/quorum_write.py",
        "                return False\n        return True",
        "                continue\n            return True\n        return False",
    ),
    planted(
        "a new row written where too few have room",
        "store/objects/quorum_write.py",
        "        elif new:\n            return self._outcome()\n",
        "",
    ),
    planted(
        "a row that a replica has taken said to be nowhere",
        "store/objects/quorum_write.py",
        "        told = not self._open and not self._applied\n",
        "        told = not self._open\n",
        "tests/objects/test_quorum_write.py",
    ),
    planted(
        "a device that does not write its blocks waited for",
        "store/objects/upload.py",
        "                for number in release.leave_behind():\n",
        "                for number in ():\n",
        "tests/objects/test_hanging.py",
    ),
    planted(
        "a device asked that is not to be believed",
        "store/objects/quorum_read.py",
        "        if device is None or not device.in_sync:\n",
        "        if device is None:\n",
        "tests/objects/test_rows.py",
    ),
    planted(
        "the newer version not brought to a quorum before it is told",
        "store/objects/rows.py",
        "                await self._write_back(key, packed, found)\n                return found",
        "                return found",
    ),
    planted(
        "a replica that hangs waited for",
        "store/objects/hedge.py",
        "        self._hedges += 1\n",
        "",
        "tests/objects/test_quorum_read.py",
    ),
    planted(
        "an index looked up by an older ring",
        "store/engine/row_calls.py",
        "        self._check_reader(epoch)\n        if self._lookups.in_memory:\n",
        "        self.health.check()\n        if self._lookups.in_memory:\n",
        "tests/engine/test_epochs.py",
    ),
    planted(
        "what two replicas have not alike listed unverified",
        "store/objects/rows.py",
        "        pages = await self._pages(span, reverse=reverse, verified=True)\n",
        "        pages = await self._pages(span, reverse=reverse, verified=False)\n",
        "tests/objects/test_damaged_index.py",
    ),
    planted(
        "what was read before a wait not looked at again",
        "store/objects/rows.py",
        "        if not found.waited:\n",
        "        if found:\n",
        "tests/engine/test_cold_index.py",
        "tests/objects/test_reads_meet_writes.py",
    ),
    planted(
        "a version brought though it may have been deleted for good since",
        "store/objects/rows.py",
        "            if await self.devices[replica].find_stamp(packed) == stamp:\n",
        "            if stamp:\n",
        "tests/replicator/test_meanwhile.py",
    ),
    planted(
        "a tombstone collected while an older version is on its way",
        "store/replicator/tombstones.py",
        "        if self._store.rows.is_held(packed):",
        "        if not self._store:",
        "tests/replicator/test_meanwhile.py",
    ),
    planted(
        "a write below the version that is there",
        "store/objects/rows.py",
        "            if applied.stamp <= row.stamp.pack():",
        "            if applied.stamp:",
        "tests/objects/test_rows.py",
    ),
    planted(
        "data that are read not pinned",
        "store/objects/store.py",
        "            self._data_id = found.row.data_id\n            store.pins.add(self._data_id)\n",
        "            pass\n",
    ),
    planted(
        "blocks sent after an upload was given up",
        "store/objects/upload.py",
        "        elif not self._closed:",
        "        else:",
        "tests/replicator/test_upload_janitor.py",
    ),
    planted(
        "an upload begun without an intent",
        "store/objects/upload.py",
        "self.data_id, size)\n        await self._leave_intent()\n",
        "self.data_id, size)\n",
    ),
    planted(
        "a condition not looked at",
        "store/objects/store.py",
        "                if condition is not ALWAYS:\n",
        "                if condition is ALWAYS:\n",
    ),
]

REPLICATOR: Final = [
    planted(
        "a layout that retires before the data of a leaving device have moved",
        "store/replicator/rebalance.py",
        "if not (data.left and self._leaving()):",
        "if True:",
        "tests/replicator/test_layout_changes.py",
    ),
    planted(
        "data dropped that are being read",
        "store/replicator/collect.py",
        "            if note.data_id in free:",
        "            if note.data_id:",
    ),
    planted(
        "data dropped that a row names",
        "store/replicator/collect.py",
        "if found is not None and found.row.data_id == note.data_id:",
        "if found is None:",
        "tests/replicator/test_collect.py",
    ),
    planted(
        "tombstones released before they are retired for good",
        "store/replicator/tombstones.py",
        "            await device.flush()\n",
        "            pass\n",
        "tests/replicator/test_collect.py",
    ),
    planted(
        "tombstones collected while a device is not clean",
        "store/replicator/tombstones.py",
        "        if unclean:\n",
        "        if not self._store.devices:\n",
    ),
    planted(
        "a replica that is not to be believed counted",
        "store/replicator/tombstones.py",
        " or not replica.in_sync",
        "",
        "tests/replicator/test_collect.py",
    ),
    planted(
        "a device synced without what it lost being durable",
        "store/replicator/rebalance.py",
        "        await device.flush()  # what it lost must not be back after a crash\n",
        "",
        "tests/replicator/test_layout_changes.py",
    ),
    planted(
        "old copies dropped though they are being read",
        "store/replicator/rebalance.py",
        "if not gone or not await self._store.pins.unpinned([row.data_id], (Need.USE, Need.DROP)):",
        "if not gone:",
        "tests/replicator/test_moves.py",
    ),
    planted(
        "data of an upload dropped before it is given up everywhere",
        "store/replicator/upload_janitor.py",
        "            if highest == intent.stamp:\n                return\n",
        "            return\n",
    ),
    planted(
        "data of a commit dropped that is being read",
        "store/replicator/upload_janitor.py",
        "        if not await self._store.pins.unpinned([data_id]):",
        "        if not data_id:",
        "tests/replicator/test_upload_janitor.py",
    ),
    planted(
        "an intent forgotten while a device still has the data",
        "store/replicator/upload_janitor.py",
        "await Drop(self._store, data_id, self._store.rows.ring.devices).wait()",
        "await Drop(self._store, data_id, ()).wait()",
    ),
]

PLANTED: Final = [*LET_THROUGH_ONCE, *IDENTITY, *ENGINE, *OBJECTS, *REPLICATOR]
