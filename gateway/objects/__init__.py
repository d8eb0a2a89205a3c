"""The object layer: what objects can do beyond being stored, for every dialect alike.

Versions, large objects and who owns their segments, links, copies, conditions, ranges, quotas and who may do what are
decided here, over the store's public client, in the words of none of the protocols: no status, no header, no request.
A dialect (`gateway.swift`) translates: what a client sends into these calls, and what they return or raise into what
its clients expect. What is kept with objects and containers for all this has neutral names (`notes.py`).
"""
