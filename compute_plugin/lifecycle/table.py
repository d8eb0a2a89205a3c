"""The state machine of servers: which transitions there are, from where, and where each ends. docs/servers.md draws it
from here.

States are Nova's `vm_state`, transitions its actions; `task_state` is what clients see while one goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from compute_plugin.hypervisors.interface import Can
from compute_plugin.records.server import VmState as S

ANY: Final = frozenset(S)
RUNS: Final = frozenset({S.ACTIVE})
RESTS: Final = frozenset({S.ACTIVE, S.STOPPED})
HELD: Final = frozenset({S.ACTIVE, S.STOPPED, S.PAUSED, S.SUSPENDED})
PLUGGED: Final = frozenset({S.ACTIVE, S.STOPPED, S.PAUSED, S.RESIZED, S.SHELVED, S.OFFLOADED})
"""Where volumes come and go. Not while memory is saved: it goes on with the disks that it had."""

WITH_GUEST: Final = frozenset({S.ACTIVE, S.PAUSED, S.RESCUED, S.RESIZED})
"""Where a guest runs, or waits: a resized server may also be one that was stopped."""


@dataclass(frozen=True, slots=True)
class Line:
    """A transition."""

    what: str
    action: str
    """In the list of a server's actions, in Nova's words."""
    begins: frozenset[S]
    """The states that it begins in."""
    task_state: str
    """As it begins. "" for what clients are not shown: the next waits for its end."""
    ends: S | None = None
    """None: where it began."""
    fails: S | None = S.ERROR
    """Where a server is after it failed; None: where it began."""
    here: bool = True
    """Whether the server's host does it, so that it needs one; else any may."""
    overtakes: bool = False
    """Whether it begins whatever else is done with the server, which is given up then."""
    can: Can | None = None
    """What the hypervisor has to be able to."""
    guest_can: Can | None = None
    """And what besides, where the server has a guest that runs."""
    locked: bool = False
    """Whether that is done with a locked server, too."""
    steps: tuple[tuple[str, str], ...] = field(default=())
    """Each step of it, and the task_state from there on; "" as before."""


_LINES: Final = (
    Line(
        "build", "create", frozenset({S.BUILDING}), "scheduling", S.ACTIVE, steps=(
            ("ports", "networking"), ("disks", "block_device_mapping"), ("start", "spawning"),
        ), here=False,
    ),
    Line("delete", "delete", ANY, "deleting", None, S.ERROR, here=False, overtakes=True,
         steps=(("end", ""), ("ports", ""), ("disks", ""))),
    Line("soft-delete", "delete", ANY - {S.SOFT_DELETED}, "soft-deleting", S.SOFT_DELETED, here=False, overtakes=True,
         steps=(("stop", ""),)),
    Line("restore", "restore", frozenset({S.SOFT_DELETED}), "restoring", S.ACTIVE, steps=(("start", ""),)),
    Line("start", "start", frozenset({S.STOPPED}), "powering-on", S.ACTIVE, None, steps=(("start", ""),)),
    Line("stop", "stop", frozenset({S.ACTIVE, S.ERROR}), "powering-off", S.STOPPED, None,
         steps=(("stop", ""),)),
    Line("reboot", "reboot", RUNS, "rebooting", S.ACTIVE, None, steps=(("ask", "reboot_started"), ("start", ""))),
    Line("hard-reboot", "reboot", HELD | {S.ERROR}, "rebooting_hard", S.ACTIVE, S.ERROR,
         steps=(("end", "reboot_started_hard"), ("start", ""))),
    Line("pause", "pause", RUNS, "pausing", S.PAUSED, None, can=Can.PAUSE, steps=(("pause", ""),)),
    Line("unpause", "unpause", frozenset({S.PAUSED}), "unpausing", S.ACTIVE, None, can=Can.PAUSE,
         steps=(("unpause", ""),)),
    Line("suspend", "suspend", RUNS, "suspending", S.SUSPENDED, None, can=Can.SUSPEND, steps=(("save", ""),)),
    Line("resume", "resume", frozenset({S.SUSPENDED}), "resuming", S.ACTIVE, S.ERROR, can=Can.SUSPEND,
         steps=(("start", ""),)),
    Line("rescue", "rescue", frozenset({S.ACTIVE, S.STOPPED, S.ERROR}), "rescuing", S.RESCUED, S.ERROR,
         can=Can.RESCUE, steps=(("end", ""), ("disks", ""), ("start", ""))),
    Line("unrescue", "unrescue", frozenset({S.RESCUED}), "unrescuing", S.ACTIVE, S.ERROR, can=Can.RESCUE,
         steps=(("end", ""), ("disks", ""), ("start", ""))),
    Line("resize", "resize", RESTS, "resize_prep", S.RESIZED, S.ERROR,
         steps=(("stop", "resize_migrating"), ("move", "resize_migrated"), ("start", "resize_finish"))),
    Line("confirm-resize", "confirmResize", frozenset({S.RESIZED}), "", None, S.ERROR, steps=(("confirm", ""),)),
    Line("revert-resize", "revertResize", frozenset({S.RESIZED}), "resize_reverting", None, S.ERROR,
         steps=(("end", ""), ("move", ""), ("start", ""))),
    Line("migrate", "migrate", RESTS, "resize_prep", S.RESIZED, S.ERROR,
         steps=(("stop", "resize_migrating"), ("move", "resize_migrated"), ("start", "resize_finish"))),
    Line("live-migrate", "live-migration", frozenset({S.ACTIVE, S.PAUSED}), "migrating", None, None,
         can=Can.LIVE_MIGRATION, steps=(("prepare", ""), ("migrate", ""), ("arrive", ""))),
    Line("evacuate", "evacuate", RESTS | {S.ERROR}, "rebuilding", None, S.ERROR, here=False, overtakes=True,
         steps=(("ports", ""), ("disks", "rebuild_block_device_mapping"), ("start", "rebuild_spawning"))),
    Line("rebuild", "rebuild", RESTS | {S.ERROR}, "rebuilding", None, S.ERROR,
         steps=(("end", ""), ("disks", "rebuild_block_device_mapping"), ("start", "rebuild_spawning"))),
    Line("shelve", "shelve", HELD, "shelving", S.OFFLOADED, None, steps=(("stop", "shelving_offloading"),
         ("release", ""))),
    Line("offload", "shelveOffload", frozenset({S.SHELVED}), "shelving_offloading", S.OFFLOADED, None,
         steps=(("release", ""),)),
    Line("unshelve", "unshelve", frozenset({S.SHELVED, S.OFFLOADED}), "unshelving", S.ACTIVE, S.OFFLOADED, here=False,
         steps=(("ports", ""), ("start", "spawning"))),
    Line("create-image", "createImage", HELD, "image_snapshot", None, None,
         steps=(("snapshot", "image_pending_upload"), ("image", "image_uploading"))),
    Line("set-password", "changePassword", RUNS, "updating_password", None, None, can=Can.PASSWORD,
         steps=(("password", ""),)),
    Line("attach-volume", "attach_volume", PLUGGED, "", None, None, here=False,
         can=Can.HAVE_DISKS, guest_can=Can.ATTACH_DISKS, steps=(("attach", ""),)),
    Line("detach-volume", "detach_volume", PLUGGED, "", None, None, here=False,
         guest_can=Can.ATTACH_DISKS, steps=(("detach", ""),)),
    Line("extend-volume", "extend_volume", PLUGGED, "", None, None, here=False, locked=True,
         steps=(("grow", ""),)),
    Line("attach-interface", "attach_interface", RESTS | {S.PAUSED}, "", None, None, guest_can=Can.ATTACH_NICS,
         steps=(("attach", ""),)),
    Line("detach-interface", "detach_interface", RESTS | {S.PAUSED}, "", None, None, guest_can=Can.ATTACH_NICS,
         steps=(("detach", ""),)),
    Line("interrupt", "trigger_crash_dump", frozenset({S.ACTIVE, S.PAUSED, S.RESCUED, S.RESIZED, S.ERROR}), "",
         None, None, can=Can.NMI, steps=(("interrupt", ""),)),
)  # fmt: skip

LINES: Final = MappingProxyType({line.what: line for line in _LINES})
"""By `what`."""
