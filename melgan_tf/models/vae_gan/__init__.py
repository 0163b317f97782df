"""What the families of generator, encoder and discriminator (VAE-GANs) share."""
