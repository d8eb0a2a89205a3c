"""Identity: users, projects, roles, tokens and the catalogue, over the registry."""
