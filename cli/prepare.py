"""`melgan-tf prepare`."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click

from melgan_tf import api
from melgan_tf.cli import options
from melgan_tf.cli.console import ConsoleProgress, echo_line, table
from melgan_tf.data.clips import Long, SampleFormat
from melgan_tf.data.prepare import PrepareResult
from melgan_tf.data.prepare_beam import Pipeline
from melgan_tf.data.reading import note_lines
from melgan_tf.errors import UsageError
from melgan_tf.progress import counted
from melgan_tf.runtime.signals import Stopped


@click.command("prepare", short_help="Turn a folder of sounds into shards of clips.")
@click.argument("data", type=options.Place())
@click.argument("out", type=options.Place())
@click.option("--rate", type=click.IntRange(1), default=16_000, show_default=True, help="Sample rate of the clips, Hz.")
@click.option("--seconds", type=options.Seconds(0, min_open=True), default=0.5, show_default=True,
              help="Length of a clip.")
@click.option("--onset/--no-onset", default=True, show_default=True,
              help="Start each sound where it first comes within 40 dB of its peak.")
@click.option("--long", "long_sounds", type=click.Choice(get_args(Long)), default="beginning", show_default=True,
              help="Clips of a longer sound: its beginning, or as many as fit, consecutive or at random positions; "
              "bars: of loops, their whole bars, with tempo and key in the report.")
@click.option("--fade", type=options.Seconds(0), default=0.01, show_default=True, metavar="SECONDS",
              help="Length of the fade-out where a longer sound is cut off.")
@click.option("--format", "sample_format", type=click.Choice(get_args(SampleFormat)), default="int16",
              show_default=True, help="Format of the stored samples.")
@options.seed(0)
@click.option("--workers", type=click.IntRange(1, 1024), help="Number of decoding processes.  [default: one per core]")
@click.option("--shard-size", type=click.IntRange(1, 1_000_000), default=1024, show_default=True, metavar="FILES",
              help="Number of files whose clips form a shard.")
@click.option("--fresh", "--force", "fresh", is_flag=True, help="Delete what was prepared in OUT and start over.")
@click.option("--runner", metavar="NAME", help="Run on Apache Beam: DirectRunner, FlinkRunner, SparkRunner, "
              "DataflowRunner. Pipeline options follow `--`.")
@options.quiet
@click.argument("pipeline_options", nargs=-1, type=click.UNPROCESSED, metavar="[-- PIPELINE OPTIONS]")
def command(data: Path, out: Path, long_sounds: Long, workers: int | None, runner: str | None, quiet: bool,
            pipeline_options: tuple[str, ...], **settings: Any) -> None:
    """Decode the sounds in the folder DATA once and write shards of clips to the folder OUT.

    Sounds are mixed down, resampled, cut or padded to one length and labeled by folder. Silent sounds, exact duplicates
    and unreadable files are skipped and listed. `train` and `evaluate` accept OUT like a folder of sounds.

    To continue an interrupted preparation, run the same command again.

    \b
    Examples:
      melgan-tf prepare drums prepared --rate 44100 --seconds 0.75
      melgan-tf prepare songs prepared --rate 22050 --seconds 4 --long consecutive
    """
    options.require_output(out, force=True)
    pipeline = _pipeline(runner, pipeline_options, workers)
    with _resumable():
        result = api.prepare(data, out, long=long_sounds, workers=workers, runner=pipeline,
                             progress=ConsoleProgress(quiet), **settings)
    if quiet:
        _list(result, err=True)
    else:
        _report(result)


def _pipeline(runner: str | None, pipeline_options: tuple[str, ...], workers: int | None) -> Pipeline | None:
    if runner is None:
        if pipeline_options:
            raise UsageError(f"{pipeline_options[0]} is a pipeline option of Apache Beam: give --runner, too")
        return None
    if workers:
        raise UsageError("--workers applies to this machine only: use the pipeline options of the --runner")
    return Pipeline(runner, pipeline_options)


@contextlib.contextmanager
def _resumable() -> Iterator[None]:
    """Says how to continue after a signal."""
    try:
        yield
    except Stopped as stopped:
        again = shlex.join(["melgan-tf", *(word for word in sys.argv[1:] if word not in ("--fresh", "--force"))])
        raise Stopped(stopped.number, f"stopped; finished shards are kept; to continue: {again}") from None


def _list(result: PrepareResult, err: bool = False) -> None:
    for item in result.skipped():
        echo_line(f"skipped {item.name}: {item.reason}", err=err)
    for line in note_lines(result.noted()):
        echo_line(line, err=err)


def _report(result: PrepareResult) -> None:
    counts = result.counts
    rows = [("kept", counts.kept, f"{counted(counts.clips, 'clip')} in {counted(result.shards, 'shard')}"),
            *(("skipped", files, reason) for reason, files in sorted(counts.reasons.items()))]
    click.echo(table(("files", "number", "what"), [(a, f"{b:,}", c) for a, b, c in rows]))
    _list(result)
    for number, what in ((counts.silent, "silent clips skipped"), (counts.duplicates, "duplicate clips skipped"),
                         (counts.clipped, "clips with samples clipped to full scale (--format float32 keeps them)"),
                         (sum(result.ignored.values()), f"other files ignored: {_extensions(result.ignored)}")):
        if number:
            click.echo(f"{number:,} {what}")
    for what in ("bpm", "key"):
        if told := Counter(loop["sources"][what] or "nothing" for loop in result.loops()):
            click.echo(f"{what} told by: {', '.join(f'{name} {number:,}' for name, number in told.most_common())}")
    if len(counts.labels) > 1:
        click.echo(table(("label", "clips"), [(label or "(none)", f"{clips:,}")
                                              for label, clips in sorted(counts.labels.items())]))
    click.echo(f"report: {result.folder / 'report.json'}\n"
               f"train:  melgan-tf train {shlex.quote(str(result.folder))} --run-dir RUN")


def _extensions(ignored: dict[str, int]) -> str:
    return ", ".join(f"{number} {extension}" for extension, number in ignored.items())
