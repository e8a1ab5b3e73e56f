"""How near a rendition comes to what it should be."""
