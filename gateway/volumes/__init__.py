"""The volume API (Cinder v3) as a thin client of the store. See docs/volume-api.md."""
