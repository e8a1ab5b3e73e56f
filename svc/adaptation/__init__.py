"""Speaker adaptation: a new speaker for a voice, from a folder of clips."""
