"""The Markov model: mean time to data loss of one set of copies that fail and are repaired independently.

State i has i copies out. From i to i + 1 at (n - i) times the rate of one copy, back at i times the rate of repair;
whoever leaves the last tolerated state upwards has lost data. For n = 2 it is the formula of Patterson, Gibson and Katz
(SIGMOD 1988) for mirrored disks; Ford et al. (OSDI 2010, section 5) use the same chain for replicas and Reed-Solomon
codes in Google's cells. It knows nothing of failures with one cause.
"""

from __future__ import annotations

import math

from bench.durability.assumptions import HOURS_PER_YEAR, Assumptions, Policy, Shape


def mean_time_to_loss(copies: int, tolerated: int, rate: float, out: float) -> float:
    """Expected time until more than `tolerated` of `copies` are out at once.

    `rate` is that of one copy per unit of time, `out` the mean time until it is repaired, in the same unit.
    The exact solution of the birth and death chain (Karlin and Taylor, A First Course in Stochastic Processes, 4.7).
    """
    total = 0.0
    for last in range(tolerated + 1):
        term = 1.0 / ((copies - last) * rate)
        total += term
        for state in range(last, 0, -1):
            term *= (state / out) / ((copies - state + 1) * rate)
            total += term
    return total


def loss_rate(copies: int, tolerated: int, rate: float, out_hours: float) -> float:
    """Losses per year of one set, each copy failing `rate` times a year and being out for `out_hours`."""
    return 1.0 / mean_time_to_loss(copies, tolerated, rate, out_hours / HOURS_PER_YEAR)


def bytes_on_device(policy: Policy, assumed: Assumptions) -> float:
    return assumed.device_bytes * (assumed.rows_part if policy.table == 0 else 1.0)


def rebuild_hours(policy: Policy, devices: int, assumed: Assumptions) -> float:
    """To rebuild what one device had, all others taking part: `needed` copies are read and one is written for each."""
    moved = bytes_on_device(policy, assumed) * (policy.needed + 1)
    return moved / (max(1, devices - 1) * assumed.repair_bytes_per_hour)


def out_hours(policy: Policy, devices: int, assumed: Assumptions) -> float:
    """How long a copy is out on average: until somebody reacts, and half of the rebuild."""
    return assumed.react_hours + rebuild_hours(policy, devices, assumed) / 2


def latent_density(shape: Shape, assumed: Assumptions) -> float:
    """Unreadable ranges that nobody knows of yet, for each stored byte. They stay for half a pass of the scrub."""
    hours = assumed.scrub_hours(shape.devices_per_machine) / 2
    return assumed.latent_rate * hours / HOURS_PER_YEAR / assumed.device_bytes


def object_loss_rate(policy: Policy, shape: Shape, assumed: Assumptions, piece_bytes: float) -> float:
    """Losses per year of one object whose copies (or fragments) are of `piece_bytes`: lost devices and latent errors.

    A piece fails at the sum of both rates, and is out for the mean of both times, weighted by them.
    """
    device_hours = out_hours(policy, shape.devices, assumed)
    latent_hours = assumed.scrub_hours(shape.devices_per_machine) / 2
    hit = assumed.latent_rate * (piece_bytes + assumed.latent_bytes) / assumed.device_bytes
    rate = assumed.device_rate + hit
    hours = (assumed.device_rate * device_hours + hit * latent_hours) / rate
    return loss_rate(policy.width, policy.tolerated, rate, hours)


def probability(rate: float, years: float = 1.0) -> float:
    """That at least one event of a Poisson process of `rate` happens."""
    return -math.expm1(-rate * years)
