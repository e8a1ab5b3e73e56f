"""Singing voice conversion: sing a song in one voice, hear it in another.

Shape legend, used in every docstring: B batch, T samples, N frames of 10 ms, C channels, K scales or
layers. Audio is float32 in [-1, 1]; levels are dB relative to full scale; f0 is in Hz with 0 for unvoiced.
"""

__version__ = "0.1.0"
