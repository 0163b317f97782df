"""Figures of merit: generated sounds against real ones, each figure beside its real-vs-real floor.

:func:`evaluate_waveforms` does all of it. Training needs less, quickly::

    embedding = DrumEmbedding()
    real = embedding.embed(held_out, 16_000)
    distance = frechet_distance(real, embedding.embed(generated, 16_000))

Nothing here imports TensorFlow or Keras before a network is asked for.
"""

from melgan_tf.evaluation.compare import evaluate_waveforms
from melgan_tf.evaluation.embeddings.drums import CLASSES, DrumEmbedding
from melgan_tf.evaluation.embeddings.log_mel import embed, embed_waveforms
from melgan_tf.evaluation.metrics import frechet_distance, kernel_distance
from melgan_tf.evaluation.report import Report

__all__ = ["CLASSES", "DrumEmbedding", "Report", "embed", "embed_waveforms", "evaluate_waveforms", "frechet_distance",
           "kernel_distance"]
