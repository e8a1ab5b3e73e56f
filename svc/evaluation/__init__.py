"""Evaluation of conversions: protocol, metrics, statistics and report."""
