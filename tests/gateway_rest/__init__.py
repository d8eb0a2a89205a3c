"""The frame of API services."""
