"""What keeps an etcd small: status, compaction, defragmentation, alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from store.registry.etcd.client import Client
from store.registry.etcd.endpoint import Endpoint
from store.registry.etcd.errors import ForgottenError
from store.registry.etcd.keyspace import header_revision, number

NO_SPACE: Final = "NOSPACE"
DEFRAGMENT_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Status:
    """Of one member. `leader` is 0 where it knows none. `file_bytes` counts for the quota; `used_bytes` of it are in
    use."""

    member: int
    leader: int
    version: str
    revision: int
    file_bytes: int
    used_bytes: int
    learner: bool


@dataclass(frozen=True, slots=True)
class Alarm:
    member: int
    kind: str


async def status(endpoint: Endpoint) -> Status:
    answer = await endpoint.call("/v3/maintenance/status", {})
    return Status(
        number(answer["header"], "member_id"),
        number(answer, "leader"),
        str(answer.get("version", "")),
        header_revision(answer),
        number(answer, "dbSize"),
        number(answer, "dbSizeInUse"),
        bool(answer.get("isLearner", False)),
    )


async def compact(client: Client, revision: int) -> None:
    """Forgets what was before etcd's own `revision`, on all members; done when they have freed the room."""
    try:
        await client.call("/v3/kv/compaction", {"revision": str(revision), "physical": True}, repeatable=True)
    except ForgottenError:
        return


async def defragment(endpoint: Endpoint) -> None:
    """Gives room that is not used back to the file system. The member serves nothing meanwhile: one at a time."""
    await endpoint.call("/v3/maintenance/defragment", {}, seconds=DEFRAGMENT_SECONDS)


async def alarms(client: Client) -> list[Alarm]:
    answer = await client.call("/v3/maintenance/alarm", {"action": "GET"}, repeatable=True)
    return [Alarm(number(alarm, "memberID"), str(alarm.get("alarm", ""))) for alarm in answer.get("alarms", ())]


async def disarm(client: Client, alarm: Alarm) -> None:
    request = {"action": "DEACTIVATE", "memberID": str(alarm.member), "alarm": alarm.kind}
    await client.call("/v3/maintenance/alarm", request, repeatable=True)
