"""What the operator says of an agent; all else it says itself (`states`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from compute_plugin.networks.records.standard import Standard
from compute_plugin.tables.record_codec import record_codec


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings(Standard):
    """Its id is the agent's."""

    admin_state_up: bool = True


AGENT_SETTINGS_CODEC: Final = record_codec("agent settings", AgentSettings)
