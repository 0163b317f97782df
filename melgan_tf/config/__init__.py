"""Configurations: frozen, validated dataclasses, strictly read from and written to JSON. No TensorFlow."""

from melgan_tf.config import presets
from melgan_tf.config.audio import AudioConfig
from melgan_tf.config.config import Config, DataConfig, TrainingConfig
from melgan_tf.config.schema import from_dict, known_keys, merge, parse_assignment, read_json, to_dict

__all__ = ["AudioConfig", "Config", "DataConfig", "TrainingConfig", "from_dict", "known_keys", "merge",
           "parse_assignment", "presets", "read_json", "to_dict"]
