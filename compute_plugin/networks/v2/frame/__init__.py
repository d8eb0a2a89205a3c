"""What all resources of the network API share: `Collection` is a kind of resource, `requests` makes handlers of it."""
