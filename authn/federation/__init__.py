"""Logins by others' word: identity providers, and what their assertions mean here."""
