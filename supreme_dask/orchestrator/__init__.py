"""The user's process: find a system and work with it."""
