"""The compute API but for servers themselves: what each resource promises its clients."""
