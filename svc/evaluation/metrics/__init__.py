"""Evaluation metrics: speaker similarity, f0, content, transcript, spectral distance, artifacts, MOS."""
