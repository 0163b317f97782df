"""A drum kit of a model's sounds: what is on its pads, its samples, and the files that samplers read."""
