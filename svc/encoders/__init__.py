"""Frozen networks: audio in, named layers on the 10 ms clock out."""
