"""Placeholder head, filled below."""
