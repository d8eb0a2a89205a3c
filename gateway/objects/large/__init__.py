"""Large objects: manifests that name segments, how they are read, and who owns the segments."""
