"""What the generator and the discriminator are asked for."""
