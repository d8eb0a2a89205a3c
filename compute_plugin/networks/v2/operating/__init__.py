"""What operators and clients ask about the service itself: agents, zones, quotas, tags, extensions."""
