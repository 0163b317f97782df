"""Sounds of a model on a server: TF Serving's REST and gRPC interfaces, without TensorFlow."""
