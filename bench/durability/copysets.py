"""What one must lose to lose data: the sets of devices that hold too many copies of some partition.

After Cidon et al., "Copysets: Reducing the Frequency of Data Loss in Cloud Storage" (USENIX ATC 2013).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bench.durability.assumptions import Policy
from store.ring import Layout

Copies = NDArray[np.int16]
"""Device by partition and copy: one row a partition."""


def copies_of(layout: Layout, policy: Policy) -> Copies:
    return np.array(layout.tables[policy.table], dtype=np.int16).T.copy()


def fatal_sets(copies: Copies, size: int) -> int:
    """How many distinct sets of `size` devices are all among the holders of one partition: to lose any of them at once
    is to lose data, where `size` is one more than is tolerated."""
    ordered = np.sort(copies.astype(np.int64), axis=1)
    keys = []
    for columns in combinations(range(copies.shape[1]), size):
        key = np.zeros(len(ordered), dtype=np.int64)
        for column in columns:
            key = key * 4096 + ordered[:, column]
        keys.append(key)
    return len(np.unique(np.concatenate(keys)))


def least_domains(layout: Layout, policy: Policy, tier: int) -> int:
    """The smallest number of domains (tier 1: zones, 2: machines, 3: devices) whose loss at once loses some partition.

    Takes of each partition the domains with the most copies first, which is the fewest that take more than tolerated.
    """
    domains = {device: values.domains[tier] for device, values in layout.devices.items()}
    numbers = {domain: number for number, domain in enumerate(sorted(set(domains.values())))}
    of_device = np.array([numbers[domains[device]] for device in sorted(domains)])
    held = of_device[copies_of(layout, policy)]
    counts = np.stack([(held == number).sum(axis=1) for number in range(len(numbers))], axis=1)
    largest_first = -np.sort(-counts, axis=1)
    lost = np.cumsum(largest_first, axis=1) > policy.tolerated
    return int(lost.argmax(axis=1).min()) + 1
