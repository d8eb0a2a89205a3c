"""What is done of each transition: a function of what the agent works with and of the work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Final

from compute_plugin.agent.doings import building, ending, imaging, migrating, plugging, power, rebuilding, resizing
from compute_plugin.agent.hands import Hands
from compute_plugin.agent.work import Work

Doing = Callable[[Hands, Work], Awaitable[None]]

DOINGS: Final = MappingProxyType[str, Doing](
    {
        "build": building.build,
        "delete": ending.delete,
        "soft-delete": ending.soft_delete,
        "restore": building.restore,
        "start": power.start,
        "stop": power.stop,
        "reboot": power.reboot,
        "hard-reboot": power.hard_reboot,
        "pause": power.pause,
        "unpause": power.unpause,
        "suspend": power.suspend,
        "resume": power.resume,
        "rescue": rebuilding.rescue,
        "unrescue": rebuilding.unrescue,
        "resize": resizing.resize,
        "migrate": resizing.resize,
        "confirm-resize": resizing.confirm,
        "revert-resize": resizing.revert,
        "evacuate": building.evacuate,
        "live-migrate": migrating.live_migrate,
        "rebuild": rebuilding.rebuild,
        "shelve": ending.shelve,
        "offload": ending.offload,
        "unshelve": building.unshelve,
        "create-image": imaging.create_image,
        "set-password": power.set_password,
        "attach-volume": plugging.attach_volume,
        "detach-volume": plugging.detach_volume,
        "extend-volume": plugging.extend_volume,
        "attach-interface": plugging.attach_interface,
        "detach-interface": plugging.detach_interface,
        "interrupt": power.interrupt,
    }
)
"""By the table's `what`."""
