"""Does a memory work? Probes, scores, the forgetting matrix, intervals: no model and no store is needed to read it."""
