"""What the vocoders share: objective, discriminators, training step, task."""
