"""The command `melgan-tf`. Each subcommand parses, checks, calls one library function and prints.

Nothing here imports TensorFlow before the arguments are known to be good: it takes seconds to load.
"""

from __future__ import annotations

import importlib

import click

import melgan_tf
from melgan_tf.cli.console import OneLineErrors

_COMMANDS = {
    "prepare": "Turn a folder of sounds into shards of clips.",
    "train": "Learn from a folder of sounds.",
    "generate": "Make new sounds with a trained model.",
    "regenerate": "Make generated sounds again from their WAVs.",
    "vary": "Make variations of a sound.",
    "interpolate": "Make sounds from one sound to another.",
    "vocode": "Render mel spectrograms, or copies of sounds, to WAVs.",
    "export": "Write a trained model as SavedModel or TFLite.",
    "evaluate": "Measure a trained model against real sounds.",
    "import-torch": "Convert a MelGAN trained in PyTorch to a run.",
    "presets": "List the presets, or show one in full.",
    "info": "Describe a run, a checkpoint, an export or a WAV.",
}


class _LazyCommands(OneLineErrors):
    """Imports a subcommand's module when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        return importlib.import_module(f"melgan_tf.cli.{name.replace('-', '_')}").command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(melgan_tf.__version__, prog_name="melgan-tf")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, not only one line.")
def main(debug: bool) -> None:
    """Learn from a folder of sounds and make new ones."""
