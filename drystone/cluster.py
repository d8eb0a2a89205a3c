"""What a cluster is: its id, the key of its placement, its storage policies; and the file that says so."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from drystone.folder import CLUSTER_FILE, DataFolder
from store.core.entropy import Random
from store.core.errors import DamageError, InvalidError
from store.objects.erasure import available_codec, codec_for
from store.objects.model import Policy

FORMAT = 1
REPLICAS_MAX = 16


@dataclass(frozen=True)
class Cluster:
    """What never changes of a cluster (`id`, `key`), and its storage policies, to which more may be added.

    `key` is the secret that placement hashes are keyed with: whoever knows it can aim names at one partition.
    """

    id: bytes
    key: bytes
    policies: tuple[Policy, ...]


def read_cluster(folder: DataFolder) -> Cluster:
    """The folder's cluster. Raises NotFoundError where there is none, DamageError where the file is not readable."""
    folder.need_cluster()
    try:
        with open(folder.at(CLUSTER_FILE), encoding="utf-8") as file:
            stored = json.load(file)
        if stored["format"] != FORMAT:
            raise DamageError(f"{folder.path} has format {stored['format']}: a newer Drystone made it")
        policies = tuple(Policy(**fields) for fields in stored["policies"])
        return Cluster(bytes.fromhex(stored["id"]), bytes.fromhex(stored["key"]), policies)
    except (ValueError, KeyError, TypeError) as error:
        raise DamageError(
            f"{folder.at(CLUSTER_FILE)} cannot be read ({error}): move it away, then "
            f"'drystone --data {folder.path} registry recover' makes it anew from the devices"
        ) from error


def save_cluster(folder: DataFolder, cluster: Cluster) -> None:
    """Replace the cluster file, durably."""
    stored = {
        "format": FORMAT,
        "id": cluster.id.hex(),
        "key": cluster.key.hex(),
        "policies": [asdict(policy) for policy in cluster.policies],
    }
    folder.write(CLUSTER_FILE, json.dumps(stored, indent=2) + "\n")


def new_cluster(random: Random, policies: tuple[Policy, ...]) -> Cluster:
    return Cluster(random.bytes(16), random.bytes(16), policies)


def parse_policy(text: str, index: int) -> Policy:
    """A policy from `NAME=N` (replicas) or `NAME=K+M[:CODEC]` (erasure code). Raises InvalidError."""
    name, equals, kind = text.partition("=")
    if not equals or not name or not all(c.isalnum() or c in "-_." for c in name):
        raise InvalidError(f"a policy is NAME=REPLICAS or NAME=K+M, like standard=3 or archive=4+2, not {text!r}")
    code, _, codec = kind.partition(":")
    try:
        numbers = [int(part) for part in code.split("+")]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and 1 <= numbers[0] <= REPLICAS_MAX and not codec:
        return Policy(index, name, replicas=numbers[0], default=index == 0)
    if len(numbers) == 2:
        k, m = numbers
        codec = codec or available_codec()
        codec_for(codec, k, m)
        return Policy(index, name, replicas=0, k=k, m=m, codec=codec, default=index == 0)
    raise InvalidError(f"policy {name!r}: {kind!r} is neither 1 to {REPLICAS_MAX} replicas nor an erasure code K+M")


def with_policies(policies: tuple[Policy, ...], wanted: tuple[str, ...]) -> tuple[Policy, ...]:
    """Known policies and those that are new. Raises InvalidError where one would change: data are kept under it."""
    known = {policy.name.lower(): policy for policy in policies}
    result = list(policies)
    for text in wanted:
        policy = parse_policy(text, len(result))
        before = known.get(policy.name.lower())
        if before is None:
            result.append(policy)
            known[policy.name.lower()] = policy
        elif replace(policy, index=before.index, default=before.default, codec=before.codec) != before:
            raise InvalidError(f"policy {before.name!r} is in use and cannot change: choose another name")
    return tuple(result)
