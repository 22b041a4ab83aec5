"""Who may do what, and what stands above a single question: access, standing instructions."""
