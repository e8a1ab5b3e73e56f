"""Block-wise conversion of a recording that is still growing."""
