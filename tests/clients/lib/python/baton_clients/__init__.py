"""Drives opencode's own programs against a Baton, as a user at a terminal does."""
