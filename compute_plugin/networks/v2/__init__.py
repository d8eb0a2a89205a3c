"""Neutron v2.0 at `/network`.

A kind of resource is a `Collection` (`frame.collection`): its attributes, how it is shown, and what making, changing
and deleting one means, as functions of the records that are all done in one transaction. `frame.requests` makes
handlers of it. Whoever adds a kind adds a module with its collection, a line in `routes`, its lines in `policy`, and
its extension in `operating`.
"""
