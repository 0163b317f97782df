"""How well an encoder reconstructs sounds, beside random noise."""

from __future__ import annotations

import copy

import tensorflow as tf

from melgan_tf.models.vae_gan.task import VAEGANTask
from melgan_tf.training.task import TrainingSounds


def measure_reconstruction(task: VAEGANTask, sounds: TrainingSounds, count: int = 512) -> dict[str, float]:
    """Measures the reconstructions of the model of a task, from the encoder's mean, with the average generator.

    Which sounds, and which noise, are chosen is the same in every call.

    Args:
        task: with a model.
        sounds: real sounds, as the task loads them.
        count: number of sounds to measure, in whole batches.

    Returns:
        "reconstruction": mean absolute difference of sounds and their reconstructions, both in [-1, 1]; "noise": the
        same for what noise of the same classes makes; "kl": divergence of the encoder's outcome from that noise.
    """
    task, model = copy.copy(task), task.model
    task.sounds = sounds

    @tf.function(autograph=False)
    def measure(*batch: tf.Tensor) -> tf.Tensor:
        inputs = model.inputs(*batch)
        inputs |= {name: tf.zeros_like(value) for name, value in inputs.items() if name.startswith("encoder_")}
        inputs |= {"label": inputs["real_label"]} if "label" in inputs else {}
        made = model.forward(inputs, model.ema_generator, model.encoder)
        return tf.stack([tf.reduce_mean(tf.abs(made.reconstruction - made.real)),
                         tf.reduce_mean(tf.abs(made.fake - made.real)), made.kl])

    step, found = int(model.step.numpy()), []
    for index, batch in enumerate(task.dataset(0).take(max(1, count // task.config.training.batch_size))):
        model.step.assign(index)  # the noise is a function of it
        found.append(measure(*batch))
    model.step.assign(step)
    mean = tf.reduce_mean(tf.stack(found), axis=0)
    return {name: round(float(value), 4) for name, value in zip(("reconstruction", "noise", "kl"), mean, strict=True)}
