"""Trains encoder and discriminator for a sound model of the package: ``python -m melgan_tf.cli.maintain.complete ...``.

`train --init-from` starts from all networks of a model. For a model that was shipped with its generator only, the other
two are trained here beside that generator, which stays fixed; they are written to ``NAME.training.npz``.

Against a fixed generator a discriminator soon tells everything apart, and then its gradients are no start for a run.
With ``--hold`` it stops learning once its mean loss over 100 steps is below that fraction of the loss of a guess; the
encoder continues alone.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from pathlib import Path

import click
import keras
import tensorflow as tf

from melgan_tf import weights
from melgan_tf.cli.console import ConsoleProgress
from melgan_tf.config import Config, from_dict
from melgan_tf.models.vae_gan.reconstruction import measure_reconstruction
from melgan_tf.models.vae_gan.train_step import VAEGAN
from melgan_tf.progress import Progress
from melgan_tf.runtime import start_tensorflow
from melgan_tf.storage.checkpoints import CheckpointStore, collect, restore
from melgan_tf.training import loop
from melgan_tf.training.callbacks import Interruption
from melgan_tf.training.optimizers import adam
from melgan_tf.training.plan import plan
from melgan_tf.training.task import Task

_LOG_STEPS, _SAVE_SECONDS = 100, 120
#: Loss of a discriminator whose logits are 0, for each of its scales. That of streams has two.
_GUESS_LOSS = {"clips": math.log(2), "streams": 2 * math.log(2)}
_FOLDER = click.Path(path_type=Path, exists=True)


@click.command()
@click.argument("name")
@click.argument("data", type=_FOLDER)
@click.option("--valid", required=True, type=_FOLDER, help="Held-out sounds, for the card's figures.")
@click.option("--steps", required=True, type=click.IntRange(1), help="Number of training steps in total.")
@click.option("--run-dir", required=True, type=click.Path(path_type=Path),
              help="Folder of checkpoints; training continues from the newest.")
@click.option("--hold", default=0.75, show_default=True,
              help="Stop training the discriminator below this fraction of the loss of a guess.")
@click.option("--device", default="2 CPU cores", show_default=True, help="Where it is trained.")
@click.option("--remarks", default="", help="Anything unusual about the training.")
@click.option("--out", type=_FOLDER, help="Output folder.  [default: in the package]")
def main(name: str, data: Path, valid: Path, steps: int, run_dir: Path, hold: float, device: str, remarks: str,
         out: Path | None) -> None:
    """Train encoder and discriminator for the sound model NAME of the package, on the sounds that it was trained on."""
    start_tensorflow(threads_per_op=1)
    card, progress = weights.read_card(name), ConsoleProgress()
    config = from_dict(Config, card["config"])
    task = config.family.load("task")(config, data, progress, valid)
    task.check_resumable(card)
    model = _build(name, task, steps, progress)
    recorder = _Recorder(model, CheckpointStore(run_dir), hold * _GUESS_LOSS[config.family.makes], progress)
    _train(model, task, steps, recorder)

    state, step = weights.as_packaged(collect(**model.parts())), int(model.step.numpy())
    restore(state, encoder=model.encoder.variables)
    figures = {"train": measure_reconstruction(task, task.sounds),
               "valid": measure_reconstruction(task, task.validation_sounds)}
    click.echo(json.dumps(figures, indent=1))
    weights.package_training_weights(name, state, step, out)
    weights.write_card(name, {**card, "training": {
        "steps": step, "discriminator_steps": recorder.discriminator_steps or step, "data": card["data"],
        "command": f"python -m melgan_tf.cli.maintain.complete {name} SOUNDS --valid HELD-OUT --steps {step} "
                   f"--hold {hold} --run-dir RUN",
        "device": device, **({"remarks": remarks} if remarks else {}), "figures": figures}}, out)


def _build(name: str, task: Task, steps: int, progress: Progress) -> VAEGAN:
    """The task's model with the generator of the package, frozen."""
    model, config = task.build(), task.config
    resolved = plan(task, config, steps, {}, progress, strategy=tf.distribute.get_strategy())
    model.compile(adam(config, "generator"), adam(config, "discriminator"), resolved.xla, resolved.shards)
    model.generator_optimizer.frozen = _paths(model.generator)
    state = weights.read_weights(weights.WEIGHTS / f"{name}.npz")
    for generator in (model.generator, model.ema_generator):
        restore(state, generator=generator.variables)
    return model


class _Recorder(keras.callbacks.Callback):
    """Restores and saves checkpoints, logs, and stops training when the discriminator is to be frozen."""

    def __init__(self, model: VAEGAN, store: CheckpointStore, least_loss: float, progress: Progress) -> None:
        super().__init__()
        self.gan, self.store, self.least_loss, self.progress = model, store, least_loss, progress
        state, meta, _ = store.newest() or ({}, {}, [])
        restore(state, **(model.parts() if state else {}))
        self.discriminator_steps, self.saved = meta.get("discriminator_steps"), time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        step = int(self.gan.step.numpy())
        self.progress.line(f"{step}\t" + "\t".join(f"{name} {value:.4f}" for name, value in logs.items()))
        if time.monotonic() - self.saved > _SAVE_SECONDS:
            self.save()
        if not self.discriminator_steps and logs["discriminator/loss"] < self.least_loss:
            self.discriminator_steps = step
            raise loop.Stop

    def save(self) -> None:
        self.store.save(collect(**self.gan.parts()), int(self.gan.step.numpy()),
                        {"audio_fingerprint": self.gan.config.audio.fingerprint(),
                         "discriminator_steps": self.discriminator_steps})
        self.saved = time.monotonic()


def _train(model: VAEGAN, task: Task, steps: int, recorder: _Recorder) -> None:
    """Trains to ``steps`` or an interruption."""
    with Interruption(recorder.progress) as interruption:
        callbacks = keras.callbacks.CallbackList([recorder, interruption], model=model)
        while (start := int(model.step.numpy())) < steps and not interruption.signal:
            if recorder.discriminator_steps:
                model.discriminator_optimizer.frozen = _paths(model.discriminator)
            with contextlib.suppress(loop.Stop):
                loop.train(model, task.dataset(start), start, steps, _LOG_STEPS, callbacks,
                           tf.distribute.get_strategy())
    recorder.save()


def _paths(network: keras.Model) -> frozenset[str]:
    return frozenset(variable.path for variable in network.trainable_variables)


if __name__ == "__main__":
    main()
