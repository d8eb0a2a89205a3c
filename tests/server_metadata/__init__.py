"""What servers are told of themselves."""
