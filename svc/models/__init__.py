"""The networks that are trained: generator and discriminators."""
