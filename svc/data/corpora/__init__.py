"""Layouts of published corpora, one module each."""
