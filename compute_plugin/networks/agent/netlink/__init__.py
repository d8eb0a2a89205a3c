"""The kernel's own words for links, addresses and rules: read without starting a process."""
