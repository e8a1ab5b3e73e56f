"""Synthetic singers and phrases, for the demonstration and the tests."""
