"""Adds the model of a run to the package: ``python -m melgan_tf.cli.maintain.ship RUN NAME --valid FOLDER ...``.

``NAME`` then names that vocoder, ``pretrained:NAME`` that sound model. Of a sound model, encoder and discriminator are
added as well, for ``train --init-from``. The card's figures are measured here, with weights rounded to float16 as in
the package: a vocoder's on every valid folder, a sound model's on the first.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from melgan_tf import weights
from melgan_tf.evaluation.evaluate import evaluate
from melgan_tf.inference.load import load_sound_model
from melgan_tf.inference.vocoder import load_vocoder
from melgan_tf.progress import Progress
from melgan_tf.storage.checkpoints import collect, restore
from melgan_tf.storage.run_directory import RunDirectory


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("name")
@click.option("--valid", "folders", multiple=True, required=True, type=click.Path(path_type=Path, exists=True),
              help="Folder of held-out sounds to measure against.")
@click.option("--data", required=True, help="Description of the training sounds.")
@click.option("--licence", default="CC0-1.0", show_default=True, help="License of the sounds, and so of the weights.")
@click.option("--command", required=True, help="The command that trained it.")
@click.option("--device", default="2 CPU cores", show_default=True, help="Where it was trained.")
@click.option("--remarks", default="", help="Anything unusual about the training.")
@click.option("--hours-before", type=float, default=0.0, help="Hours that the weights of --init-from were trained for.")
@click.option("--steps-before", type=int, default=0, help="Steps that those weights were trained for.")
@click.option("--checkpoint", type=click.Choice(["last", "best"]), default="last", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, exists=True), help="Output folder.  [default: in the package]")
def main(run: Path, name: str, folders: tuple[Path, ...], data: str, licence: str, command: str, device: str,
         remarks: str, hours_before: float, steps_before: int, checkpoint: str, out: Path | None) -> None:
    """Add the model in RUN to the package as NAME."""
    directory = RunDirectory(run)
    card = {"data": data, "licence": licence, "command": command,
            "hours": round(hours_before + directory.hours(), 2), "device": device,
            **({"remarks": remarks} if remarks else {})}
    config = directory.config()
    if config.family.makes == "waveforms":
        vocoder = load_vocoder(run, checkpoint, Progress())
        state, step = weights.as_packaged(collect(generator=vocoder.model.variables)), vocoder.step
        restore(state, generator=vocoder.model.variables)
        card["figures"] = {f"{folder.parent.name}/{folder.name}": evaluate(vocoder, folder).summary()
                           for folder in folders}
    else:
        model = load_sound_model(run, checkpoint, Progress())
        state, meta = weights.newest_state(directory, config, checkpoint)
        state, step = weights.as_packaged(state), meta["step"]
        restore(state, generator=model.sampler.generator.variables)
        card |= {"classes": model.sampler.classes.counts} if model.sampler.classes else {}
        card["figures"] = {folders[0].name: evaluate(model, folders[0], directory.record()["data"]["folder"]).summary()}
    click.echo(json.dumps(card["figures"], indent=1))
    weights.package_weights(name, state, {"step": steps_before + step}, config, card, out)


if __name__ == "__main__":
    main()
