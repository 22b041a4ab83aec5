"""KV caches that stand for memories: made, stored, reused, composed, and streamed within a budget. Needs the extra `local`."""
