"""From a folder of singers to batches."""
