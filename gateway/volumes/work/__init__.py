"""Long work on volumes: each module has the tasks of one kind of thing."""

from __future__ import annotations

from gateway.rest.task_runner import Work
from gateway.volumes.work import backups, creating, deleting, groups, images, replacing, restoring, snapshots
from gateway.volumes.work.worker import Worker


def kinds(worker: Worker) -> dict[str, Work]:
    """By the kind that a task names."""
    return {
        **backups.kinds(worker),
        **creating.kinds(worker),
        **deleting.kinds(worker),
        **groups.kinds(worker),
        **images.kinds(worker),
        **replacing.kinds(worker),
        **restoring.kinds(worker),
        **snapshots.kinds(worker),
    }
