"""Who may do what, whose word counts, and what is let in."""
