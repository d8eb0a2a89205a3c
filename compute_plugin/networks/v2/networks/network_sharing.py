"""`shared` and `router:external` of networks: what they mean is RBAC policies for all projects."""

from __future__ import annotations

from compute_plugin.networks.errors import InUseError
from compute_plugin.networks.records.network import Network
from compute_plugin.networks.records.records import Records
from compute_plugin.networks.records.sharing import AS_EXTERNAL, AS_SHARED, EVERYBODY, RbacPolicy
from compute_plugin.networks.v2.frame.view import Change

NETWORK = "network"
"""In RBAC policies."""


def share_network(change: Change, network: Network, action: str) -> None:
    """With everybody."""
    policy = RbacPolicy(
        id=change.new_id(),
        project_id=network.project_id,
        object_type=NETWORK,
        object_id=network.id,
        action=action,
        target_project=EVERYBODY,
    )
    change.put(change.records.rbac_policies, policy)


def _policies(records: Records, network: Network, action: str) -> list[RbacPolicy]:
    return [one for one in records.rbac_policies.by("object", network.id) if one.action == action]


def set_shared(change: Change, network: Network, shared: bool) -> None:
    """Raises InUseError as long as projects use it that nothing else lets."""
    held = _policies(change.records, network, AS_SHARED)
    for_all = [one for one in held if one.target_project == EVERYBODY]
    if shared and not for_all:
        share_network(change, network, AS_SHARED)
    if not shared and for_all:
        let = {one.target_project for one in held} | {network.project_id, ""}
        if any(port.project_id not in let for port in change.records.ports.by("network", network.id)):
            raise InUseError(
                "InvalidSharedSetting",
                f"Unable to reconfigure sharing settings for network {network.id}. Multiple tenants are using it.",
            )
        for one in for_all:
            change.records.rbac_policies.delete(one.id)


def set_external(change: Change, network: Network, external: bool) -> None:
    """One that is external stays so for whomever it is. Raises InUseError as long as anybody leads there."""
    if external == network.external:
        return
    if external:
        share_network(change, network, AS_EXTERNAL)
        return
    if change.records.routers.has("gateway", network.id) or change.records.floating_ips.has("network", network.id):
        raise InUseError(
            "ExternalNetworkInUse",
            f"External network {network.id} cannot be updated to be made non-external, since it has existing "
            "gateway ports.",
        )
    for one in _policies(change.records, network, AS_EXTERNAL):
        change.records.rbac_policies.delete(one.id)
