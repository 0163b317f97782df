"""Evaluation: generated sounds compared with real ones, each metric beside its real-vs-real baseline.

`evaluate` takes a model, a vocoder or a folder of sounds; :func:`compare_sounds` takes arrays. Training needs less,
quickly::

    embedding = DrumEmbedding()
    real = embedding.embed(held_out, 16_000)
    distance = frechet_distance(real, embedding.embed(generated, 16_000))

Importing this package does not import TensorFlow.
"""

from melgan_tf.evaluation.compare import compare_sounds
from melgan_tf.evaluation.embeddings.drums import CLASSES, DrumEmbedding
from melgan_tf.evaluation.embeddings.log_mel import embed, embed_waveforms, with_floor
from melgan_tf.evaluation.metrics import frechet_distance, kernel_audio_distance
from melgan_tf.evaluation.report import Report, SoundReport
from melgan_tf.evaluation.sounds import SoundSet

__all__ = ["CLASSES", "DrumEmbedding", "Report", "SoundReport", "SoundSet", "compare_sounds", "embed",
           "embed_waveforms", "frechet_distance", "kernel_audio_distance", "with_floor"]
