"""Samples in and out of files, and their spectra and levels."""
