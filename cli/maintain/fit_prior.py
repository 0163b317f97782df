"""Fits the prior of a shipped sound model: ``python -m melgan_tf.cli.maintain.fit_prior loops LOOPS --width 1.15``.

For models that were trained without one: the prior learns what their encoder finds in sounds, and nothing else changes.
With ``--steps 0`` only the noise becomes wider, for models whose reconstructions are worse than their sounds.
"""

from __future__ import annotations

import math
from pathlib import Path

import click
import keras
import tensorflow as tf

from melgan_tf import weights
from melgan_tf.cli.console import ConsoleProgress
from melgan_tf.models.vae_gan.train_step import VAEGAN
from melgan_tf.storage.checkpoints import collect, restore
from melgan_tf.training.task import Task

_RATE = 3e-4


@click.command()
@click.argument("name")
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--steps", default=12_000, show_default=True, type=click.IntRange(0), help="Batches to learn from.")
@click.option("--width", default=1.0, show_default=True, help="How much wider the noise is made afterwards.")
@click.option("--remarks", default="", help="What the card says of it.")
@click.option("--out", default=weights.WEIGHTS, type=click.Path(path_type=Path), help="Folder of weights and card.  "
              "[default: in the package]")
def main(name: str, data: Path, steps: int, width: float, remarks: str, out: Path) -> None:
    """Fit the prior of the sound model NAME of the package to the sounds in DATA."""
    card, progress = weights.read_card(name), ConsoleProgress()
    config = weights.card_config(card)
    task = config.family.load("task")(config, data, progress)
    task.check_resumable(card)
    model, state = task.build(), weights.read_all_weights(name)
    restore(state, generator=model.ema_generator.variables, encoder=model.encoder.variables)
    if steps:
        loss = fit(model, task, steps)
        click.echo(f"loss of the prior: {loss:.2f} nats")
    scale = model.ema_generator.prior.log_scale
    scale.assign(scale + math.log(width))
    remarks = " ".join(filter(None, (card.get("remarks", ""), remarks)))
    weights.package_weights(name, weights.as_packaged({**state, **collect(generator=model.ema_generator.variables)}),
                            {"step": card["step"]}, config, {**card, "remarks": remarks}, out)


def fit(model: VAEGAN, task: Task, steps: int) -> float:
    """Trains the prior alone, on what the encoder finds; returns the mean loss of the last batches, nats."""
    variables = model.ema_generator.prior.trainable_variables
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_RATE, steps))
    optimizer.build(variables)

    @tf.function(autograph=False)  # what the loss does not need is not computed
    def step(*batch: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = model.forward(model.inputs(*batch), model.ema_generator, model.encoder).prior_loss
        optimizer.apply(tape.gradient(loss, variables), variables)
        model.step.assign_add(1)  # the noise is a function of it
        return loss

    losses = [step(*batch) for batch in task.dataset(0).take(steps)]
    return float(tf.reduce_mean(losses[-100:]))


if __name__ == "__main__":
    main()
