"""Whole courses of events in which everything comes together: faults, changes of the layout, clocks that jump and work
of all kinds are lists of their own (`faults`, `layouts`, `clients`), and a seed draws from each what happens, and when
(`run`).

One rule bounds what may happen at once, since three replicas promise no more: **one device at a time** may have lost
what it acknowledged, or be away. Until it has been made whole, no second one is. Devices may be slow, hang, or be full
in any number, and the power may go at any moment.
"""
