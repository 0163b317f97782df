"""Loops: their tempo, bars, key and rhythm. No TensorFlow."""
