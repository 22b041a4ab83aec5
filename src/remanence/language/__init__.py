"""What both writing and recalling need to know of language: tokens, dates, names."""
