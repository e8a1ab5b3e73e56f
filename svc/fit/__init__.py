"""A new singer for a voice."""
