"""A whole service in small: stones of projects, made within a quota. docs/services.md goes along it."""
