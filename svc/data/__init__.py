"""Training data: prepared folders, their manifest, segments and batches."""
