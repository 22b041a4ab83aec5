"""Who may do what, what was done, and the proof of it."""
