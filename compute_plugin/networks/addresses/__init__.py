"""What can be said of addresses without knowing who has them: pure.

`spans` are ranges of addresses, `free` finds one that nobody has, `pools` is what a subnet may give out, `eui64` makes
addresses of MACs as machines do, `prefixes` cuts subnets out of what a subnet pool has.
"""
