"""`melgan-tf import-torch`."""

from __future__ import annotations

from pathlib import Path

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress


@click.command("import-torch", short_help="Convert a MelGAN trained in PyTorch to a run.")
@click.argument("checkpoint", type=options.Place(remote=False))
@click.option("--out", required=True, type=options.Place(remote=False, file_okay=False), help="New run directory.")
@options.quiet
def command(checkpoint: Path, out: Path, quiet: bool) -> None:
    """Convert CHECKPOINT, the netG.pt of the authors' PyTorch code, to a run directory.

    Works with any width, ratios and depth, with or without weight norm. Only weights are read; no code in the file is
    run.

    Needs PyTorch: pip install 'melgan-tf[torch]'

    \b
    Examples:
      melgan-tf import-torch netG.pt --out runs/melgan
      melgan-tf import-torch ~/melgan/logs/netG.pt --out runs/melgan --quiet
    """
    from melgan_tf.config import presets

    options.require_output(out, force=True)
    generator = api.import_torch(checkpoint, out)
    progress, audio, published = ConsoleProgress(quiet), generator.config().audio, presets.get("melgan").audio
    ratios = " x ".join(map(str, generator.ratios))
    progress.line(f"{generator.folded_weights:,} weights (weight norm folded), {audio.mel_bins} mel bands, "
                  f"{ratios} = {audio.hop_samples} samples a frame, {generator.channels} channels, "
                  f"{generator.residual_layers} residual layers: {out}")
    contract = (f"mels of {audio.sample_rate} Hz, n_fft {audio.n_fft}, {audio.min_hz:g} to {audio.max_hz:g} Hz, "
                f"log10 of Slaney's bands")
    if audio == published:
        progress.line(f"the file does not record its mel configuration; assuming the published one ({contract})")
    else:
        progress.warning(f"the file does not record its mel configuration, which is not the published one; assuming "
                         f"{contract}")
