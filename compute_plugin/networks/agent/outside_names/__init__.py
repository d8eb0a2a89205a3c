"""Names that are of no network: what dnsmasq asks at 127.0.0.53 in its namespace is asked of the host's resolvers, in
the host's namespace. `relay` passes questions and answers, `resolvers` says whom."""
