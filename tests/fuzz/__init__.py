"""The whole surface under near-valid input: bytes in at the server, answers out, and nothing kept behind."""
