"""Adapters, lookup rows and edits of weights that stand for memories, and how they are unlearned. Needs the extra `local`."""
