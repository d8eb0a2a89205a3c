"""The system of a container for tests."""
