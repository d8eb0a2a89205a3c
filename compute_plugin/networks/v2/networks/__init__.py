"""Networks, and what is asked about all of one."""
