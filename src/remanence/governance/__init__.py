"""Who may do what, how far a memory is believed, and the proof of what was done."""
