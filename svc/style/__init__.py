"""Neural style transfer of audio: the texture of one clip on the content of another, by optimisation."""
