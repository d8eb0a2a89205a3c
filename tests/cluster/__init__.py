"""Real processes on machines that are network namespaces, what is done to them, and what judges what they answered."""
