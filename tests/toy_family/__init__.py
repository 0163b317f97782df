"""A family of models from outside: two small dense networks against each other."""

from melgan_tf.config.registry import Family
from toy_family.config import ToyConfig
from toy_family.presets import PRESETS

FAMILY = Family(config=ToyConfig, makes="clips", presets=PRESETS, task="toy_family.task:ToyTask",
                build="toy_family.networks:build")
