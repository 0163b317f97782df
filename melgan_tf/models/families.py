"""Registers the families that this package brings along: one line each. No TensorFlow."""

from melgan_tf.config.registry import register
from melgan_tf.models import fast_vocoder, frame_gan, loop_gan, melgan, sequence_gan, spectrogram_gan

for _family in (spectrogram_gan, frame_gan, sequence_gan, loop_gan, melgan, fast_vocoder):
    register(_family.FAMILY)
