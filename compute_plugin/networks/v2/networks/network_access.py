"""Networks that somebody names who wants to do something on them."""

from __future__ import annotations

from compute_plugin.networks.records.network import Network
from compute_plugin.networks.v2.frame.view import View


def seen_network(view: View, id_: str) -> Network:
    """Raises MissingError, where the caller may not see it as well."""
    network = view.records.networks.require(id_)
    target = {"project_id": network.project_id, "tenant_id": network.project_id, **view.network_target(network)}
    if not view.may("get_network", target):
        raise view.records.networks.missing(id_)
    return network
