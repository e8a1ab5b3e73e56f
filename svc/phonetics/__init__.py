"""Phonetics: the corpus, alignment, training and measures of the phone classifier behind content features."""
