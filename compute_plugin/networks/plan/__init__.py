"""From records to what one host has to have. Pure: no clock, no I/O, the same answer each time.

`wiring` and `ruleset` are the model; `desired` puts together what each part says: `bridging` (bridges, VXLAN, plugs),
`dhcp` (addresses and names), `router`, and `firewall`. `text` shows all of it to people and to golden files.
"""
