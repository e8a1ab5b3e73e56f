"""One step, one loop, and a state that survives a crash."""
