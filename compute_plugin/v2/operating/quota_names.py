"""What projects have limits of, by microversion. Pure but for the call."""

from __future__ import annotations

from typing import Final

from compute_plugin.v2.frame.call import Call

NETWORK: Final = ("fixed_ips", "floating_ips", "security_group_rules", "security_groups")
"""Once of nova; what the network service has limits of now. Without any here, whatever is said of them."""
FILES: Final = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")
GROUPS: Final = ("server_groups", "server_group_members")
ALWAYS: Final = ("cores", "instances", "key_pairs", "metadata_items", "ram")
NO_NETWORK: Final = 36
NO_FILES: Final = 57


def quota_names(call: Call, no_network: int = NO_NETWORK) -> tuple[str, ...]:
    """Those that are shown, and may be set. `no_network`: from which microversion on there are none of NETWORK."""
    network = () if call.since(no_network) else NETWORK
    files = () if call.since(NO_FILES) else FILES
    return (*ALWAYS, *GROUPS, *files, *network)
