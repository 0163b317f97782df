"""The model families, a folder each; `melgan_tf.models.families` registers them."""
