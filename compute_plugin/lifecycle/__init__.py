"""The life of a server: which transitions there are (`table`), how one begins and ends (`changes`), what clients are
told of it (`status`), and the picture (`picture`). Pure."""
