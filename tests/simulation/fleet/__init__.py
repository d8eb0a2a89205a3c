"""A whole cluster in one process and in simulated time: several processes that write, each with devices, daemons and a
clock of its own, a network between them, and one registry that all ask (`cluster`, `process`).

Clients at all of them use the same few names (`clients`), while what a seed has drawn happens (`faults`). What they
asked and what they were told is written down (`history`) and judged afterwards: by name, whether one copy could have
answered so, bytes, headers, listings and containers included (`register`); and at rest, whether everything is back and
nothing is left over (`rest`).

The devices keep the rule of the composed runs: **one device at a time** may have lost what it acknowledged. All else
may happen at once: processes are killed, stopped and cut off in any number.
"""
