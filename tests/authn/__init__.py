"""Identity over the registry in memory, with cheap hashes and a clock that tests move."""
