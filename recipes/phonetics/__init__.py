"""Corpus, alignment, training and measures of the phone classifier behind the content features."""
