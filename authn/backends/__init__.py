"""Where the users and groups of a domain may be kept instead of the registry: back ends that are read and asked.

`backend` is the seam, `opening` makes a back end of a domain's configuration, `ldap` is the one for directories.
"""
