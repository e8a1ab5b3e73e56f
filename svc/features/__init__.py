"""What the generator sings from, computed from audio."""
