"""Networks for servers: the part of Neutron v2.0 that they need, and the agent that makes each host equal to it.

`records`: what there is to be. `v2`: the API, Neutron's. `plan`: from records to what a host has to have, pure.
`agent`: makes a host so. How it fits together: docs/networks.md.
"""
