"""Audio files, resampling, spectra and loudness."""
