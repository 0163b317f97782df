"""The command `melgan-tf`. Each subcommand parses, checks, calls one library function and prints.

Nothing here imports TensorFlow before the arguments are known to be good: it takes seconds to load.
"""

from __future__ import annotations

import importlib
import inspect

import click

import melgan_tf
from melgan_tf import runtime
from melgan_tf.cli.errors import OneLineErrors
from melgan_tf.errors import did_you_mean

_GROUPS = {
    "Make sounds": {
        "generate": "Make new sounds with a trained model.",
        "vary": "Make variations of a sound.",
        "interpolate": "Make sounds from one sound to another.",
        "kit": "Make a drum kit for samplers.",
        "explore": "Choose sounds by ear, on a map.",
        "play": "Play a model in the browser.",
        "regenerate": "Make generated sounds again from their WAVs.",
        "vocode": "Render mel spectrograms, or copies of sounds, to WAVs.",
    },
    "Learn from sounds": {
        "train": "Learn from a folder of sounds.",
        "prepare": "Turn a folder of sounds into shards of clips.",
        "import-torch": "Convert a MelGAN trained in PyTorch to a run.",
    },
    "Deliver": {
        "export": "Write a trained model as SavedModel, TFLite, ONNX or web page.",
        "request": "Make new sounds with a model on a server.",
    },
    "Look": {
        "info": "Describe a model, a run, an export, a sound or a folder.",
        "evaluate": "Measure a trained model against real sounds.",
        "presets": "List the presets, or show one in full.",
    },
}
_COMMANDS = [name for group in _GROUPS.values() for name in group]
_EXAMPLES = "\b\nExamples:"
_WELCOME = f"""\
melgan-tf {melgan_tf.__version__} learns from a folder of sounds and makes new ones.

Five commands to start with:
  melgan-tf generate pretrained:drums --out drums    make new sounds right away
  melgan-tf vary KICK.wav --out more                 make more like one of them
  melgan-tf train SOUNDS --run-dir mine              learn from your own folder
  melgan-tf generate mine --out new                  make sounds like yours
  melgan-tf info                                     list the bundled models

`melgan-tf --help` lists all commands; `melgan-tf COMMAND --help` explains one."""


class _LazyCommands(OneLineErrors):
    """Imports a subcommand's module when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return _COMMANDS

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command = importlib.import_module(f"melgan_tf.cli.{name.replace('-', '_')}").command
        command.help, found, examples = inspect.cleandoc(command.help or "").partition(_EXAMPLES)
        if found:  # they come last, next to the prompt
            command.epilog = _EXAMPLES + examples
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.type.name.endswith(" range") and not parameter.count:
                parameter.metavar = parameter.metavar or "NUMBER"
        return command

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple:
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            context.fail(f"No such command {args[0]!r}: {did_you_mean(args[0], _COMMANDS, 'commands are')}")
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _COMMANDS))
        for title, commands in _GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, text in commands.items()])


@click.group(cls=_LazyCommands, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(melgan_tf.__version__, prog_name="melgan-tf")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, not only one line.")
@click.pass_context
def main(context: click.Context, debug: bool) -> None:
    """Learn from a folder of sounds and make new ones."""
    runtime.unneeded = ("matplotlib", "sklearn")
    if context.invoked_subcommand is None:
        click.echo(_WELCOME, err=True)
        context.exit(2)
