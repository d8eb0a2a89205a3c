"""Who the members of etcd are, and changes of that. One change at a time, each agreed on by the present members."""

from __future__ import annotations

from dataclasses import dataclass

from store.registry.etcd.client import Client
from store.registry.etcd.keyspace import Json, number


@dataclass(frozen=True, slots=True)
class MemberInfo:
    """One that was added and has not started yet has no name. A learner takes all writes and has no vote."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    learner: bool


async def members(client: Client) -> list[MemberInfo]:
    answer = await client.call("/v3/cluster/member/list", {}, repeatable=True)
    return [_info(member) for member in answer.get("members", ())]


async def add_member(client: Client, peer_url: str, *, learner: bool = False) -> MemberInfo:
    """Before the new member is started, which then joins (Member.joins). Raises ConflictError where the URL is known
    already, UnavailableError where members that are down leave no majority for one more."""
    request = {"peerURLs": [peer_url], "isLearner": learner}
    answer = await client.call("/v3/cluster/member/add", request)
    return _info(answer["member"])


async def promote_member(client: Client, member: int) -> None:
    """A learner gets a vote. Raises ConflictError while it has not caught up, NotFoundError where there is none."""
    await client.call("/v3/cluster/member/promote", {"ID": str(member)})


async def remove_member(client: Client, member: int) -> None:
    """It need not answer. Its process ends, and its data are of no use any more. Raises NotFoundError where there is
    none, ConflictError or UnavailableError where the others would have no majority of those that run."""
    await client.call("/v3/cluster/member/remove", {"ID": str(member)})


def _info(member: Json) -> MemberInfo:
    return MemberInfo(
        number(member, "ID"),
        str(member.get("name", "")),
        tuple(member.get("peerURLs", ())),
        tuple(member.get("clientURLs", ())),
        bool(member.get("isLearner", False)),
    )
