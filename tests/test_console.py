"""What the command line shows: progress in a terminal and elsewhere, tables, closed streams, and `melgan-tf info`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

import pytest
from command_line import GRIFFIN_LIM, in_terminal, invoke, program, trained_once, write_sounds

from melgan_tf.cli import console, errors


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return trained_once(tmp_path_factory)


# -- programs of their own -------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_evaluate_prints_what_it_writes(run, tmp_path):
    ended = invoke("evaluate", run.path, *GRIFFIN_LIM, "--reference", run.sounds, "--json", tmp_path / "figures.json")
    assert (ended.code, ended.stderr) == (0, "")
    header, merit, conclusion = ended.stdout.strip().split("\n\n")
    assert header == ("8 sounds a set (of 8 generated, 16 reference), 0.5 s at 16000 Hz, seed 0, k 5; "
                      "real vs real: two halves of the reference")  # trained on the reference: that is no floor
    values = json.loads((tmp_path / "figures.json").read_text())
    assert conclusion == values["conclusion"]
    assert (values["preset"], values["step"], values["sounds"], values["reference"]) == ("seed", 6, 8, str(run.sounds))
    assert re.split("  +", merit.splitlines()[1]) == ["metric", "generated", "real vs real", "better", "embedding"]
    again = invoke("evaluate", run.path, *GRIFFIN_LIM, "--reference", run.sounds)
    assert (again.code, again.stdout) == (0, ended.stdout)
    more = invoke("evaluate", run.path, *GRIFFIN_LIM, "--reference", run.sounds, "--verbose")
    assert (more.code, more.stderr) == (0, "")
    _, same, drums, spectra, statistics, _, faults, conclusion = more.stdout.strip().split("\n\n")
    assert (same, conclusion) == (merit, values["conclusion"])
    for text, name in ((drums, "drums"), (spectra, "spectra"), (statistics, "statistics")):
        rows = [re.split("  +", line) for line in text.splitlines()]
        assert rows[1] == ["metric", "generated", "real vs real", "better"]
        assert [row[0] for row in rows[3:5]] == ["Fréchet distance", "Fréchet distance, of infinitely many"]
        assert float(rows[3][1]) == pytest.approx(values[name]["generated"]["frechet"], rel=1e-3)
    assert faults.splitlines()[1].split() == ["waveforms", "generated", "real"]


def test_evaluate_warns_of_unusable_files_and_quiet_keeps_the_figures(run, tmp_path):
    sounds = write_sounds(tmp_path / "sounds", 12)
    (sounds / "bad.wav").write_bytes(b"")
    ended = invoke("evaluate", run.path, *GRIFFIN_LIM, "--reference", sounds, "--quiet")
    assert (ended.code, ended.stderr) == (0, "warning: skipped bad.wav: an empty file\n")
    assert ended.stdout.startswith("12 sounds a set ")
    assert "12 of the 12 reference sounds are training sounds" in ended.stdout  # other files, equal sounds


def test_debug_shows_where(tmp_path):
    ended = program("--debug", "info", tmp_path / "none")
    assert ended.code == 1
    assert ended.stderr.startswith("Traceback ")
    assert "UsageError" in ended.stderr


def test_a_reader_that_has_gone_is_no_error():
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.readline()"], stdin=subprocess.PIPE) as reader:
        reader.stdin.write(b"\n")
        reader.stdin.flush()
        reader.wait()
        ended = program("presets", "seed", stdout=reader.stdin)
        assert (ended.code, ended.stderr) == (1, "")
        reader.stdin.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_under_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        ended = program("presets", "seed", stdout=full)
    ended.one_line("No space left on device", code=1)


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_closed_streams_do_no_harm(closed, tmp_path):
    """The next file to be opened must not be taken for stdout or stderr."""
    script = ("import os\nfrom melgan_tf.cli.main import main\nfrom melgan_tf.cli.console import ConsoleProgress\n"
              "try: main(['sing'])\nexcept SystemExit as ended: code = ended.code\n"
              "with open('file', 'w'):\n"
              " ConsoleProgress().warning('to nobody')\n ConsoleProgress().line('to nobody')\n"
              " os.write(1, b'raw'); os.write(2, b'raw')\nraise SystemExit(code)")
    done = subprocess.run(["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, script], cwd=tmp_path,
                          check=False, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "file").read_text() == ""


def test_a_name_that_is_not_utf8(run, tmp_path):
    odd = tmp_path / os.fsdecode(b"n\xff")
    invoke("train", run.sounds, "--run-dir", odd).one_line("UTF-8", "another name", code=2)
    invoke("generate", odd, "--out", tmp_path / "out").one_line("does not exist", code=2)
    assert list(tmp_path.iterdir()) == []


# -- what progress looks like ----------------------------------------------------------------------------------------

def test_without_a_terminal_progress_is_plain_lines(run, tmp_path, monkeypatch):
    monkeypatch.setattr(console, "PLAIN_EVERY_SECONDS", 0.0)
    ended = invoke("generate", run.path, *GRIFFIN_LIM, "--out", tmp_path / "out", "--count", 20)
    lines = ended.stderr.splitlines()
    assert "\x1b" not in ended.stderr + ended.stdout
    assert "\r" not in ended.stderr
    pattern = r"generating: (\d+)/20 sounds \((\d+) %\), (\d:\d\d so far|[\d.,]+ (?:sounds/s|s/sound), \d:\d\d left)"
    found = [re.fullmatch(pattern, line).groups() for line in lines if line.startswith("generating: ")]
    assert {(int(done), int(share)) for done, share, _ in found} >= {(i, 5 * i) for i in range(1, 21)}
    assert {text.endswith("so far") for done, _, text in found if int(done) <= 1} == {True}
    assert {text.endswith("left") for done, _, text in found if int(done) > 1} == {True}


def test_plain_lines_come_seldom(monkeypatch, capsys):
    monkeypatch.setattr(console, "PLAIN_EVERY_SECONDS", 10.0)
    now = 0.0
    monkeypatch.setattr(console.time, "perf_counter", lambda: now)
    with console.ConsoleProgress().task("training", 3_000, "steps", done=1_000) as advance:
        for seconds, steps in ((4, 8), (4, 8), (4, 8), (4, 8), (4, 8), (400, 10)):
            now += seconds
            advance(steps)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == ["training: 1,024/3,000 steps (34 %), 2.0 steps/s, 16:28 left",
                                      "training: 1,050/3,000 steps (35 %), 9.9 s/step, 5:21:54 left"]


def test_no_time_is_foretold_from_the_first_report(monkeypatch, capsys):
    """Which may have compiled for a minute."""
    monkeypatch.setattr(console, "PLAIN_EVERY_SECONDS", 10.0)
    now = 0.0
    monkeypatch.setattr(console.time, "perf_counter", lambda: now)
    with console.ConsoleProgress().task("generating", 32, "sounds") as advance:
        for seconds, sounds in ((60, 8), (10, 8)):
            now += seconds
            advance(sounds)
    assert capsys.readouterr().err.splitlines() == ["generating: 8/32 sounds (25 %), 1:00 so far",
                                                    "generating: 16/32 sounds (50 %), 1.2 s/sound, 0:20 left"]


def test_silence_is_broken(monkeypatch, capsys):
    """What reports nothing for long, or cannot say how much there is, shows that it works."""
    monkeypatch.setattr(console, "PLAIN_EVERY_SECONDS", 0.2)
    monkeypatch.setattr(console, "PLAIN_FIRST_SECONDS", 0.1)
    progress = console.ConsoleProgress()
    with progress.task("training", 3, "steps"):
        time.sleep(0.5)
    with progress.stage("converting"):
        time.sleep(0.5)
    lines = capsys.readouterr().err.splitlines()
    stages = [line for line in lines if line.startswith("converting")]
    assert stages[0] == "converting"
    for shown, text in ((stages[1:], r"converting: 0:0\d so far"),
                        (lines[:-len(stages)], r"training: 0/3 steps \(0 %\), 0:0\d so far")):
        assert shown and all(re.fullmatch(text, line) for line in shown)  # noqa: PT018


def test_quiet_progress_says_warnings_only(monkeypatch, capsys):
    monkeypatch.setattr(console, "PLAIN_EVERY_SECONDS", 0.0)
    progress = console.ConsoleProgress(quiet=True)
    with progress.task("training", 10, "steps") as advance:
        advance(5)
        progress.line("nothing")
        progress.warning("something")
    assert capsys.readouterr() == ("", "warning: something\n")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3_600, "1:00:00"),
                                               (100_000, "27:46:40")])
def test_time_left_reads_as_a_clock(seconds, text):
    assert console.format_duration(seconds) == text


_BARS = """
from melgan_tf.cli.console import ConsoleProgress
progress = ConsoleProgress()
with progress.task("training", 10, "steps") as advance:
    advance(5)
    progress.line("[0/3]\\tLoss_D: 1.3854 [bold]" + "x" * 100)
    progress.warning("mind the gap")
    print("printed")
progress.line("after")
with progress.stage("converting"), progress.stage("hidden"):
    progress.line("within")
"""


def test_in_a_terminal_lines_appear_above_the_bar(tmp_path):
    screen, _ = in_terminal(_BARS, tmp_path)
    assert "\x1b[" in screen
    assert "5/10 steps" in screen
    assert "converting" in screen
    assert "Loss_D: 1.3854 [bold]" + "x" * 100 in screen  # neither read as markup nor broken into two lines
    for text in ("warning: mind the gap", "printed", "after"):
        assert text in screen


def test_results_sent_to_a_file_do_not_end_on_the_screen(tmp_path):
    screen, file = in_terminal(_BARS, tmp_path, stdout_too=False)
    assert file == "[0/3]\tLoss_D: 1.3854 [bold]" + "x" * 100 + "\nprinted\nafter\nwithin\n"
    assert "5/10" in screen
    assert "warning: mind the gap" in screen
    assert "Loss_D" not in screen


def test_a_terminal_that_can_do_nothing_gets_plain_lines(tmp_path):
    screen, _ = in_terminal(_BARS, tmp_path, TERM="dumb")
    assert "\x1b" not in screen
    assert "warning: mind the gap" in screen


def test_a_table_has_numbers_to_the_right():
    assert console.table(("name", "value"), [("a", "1.5"), ("longer", "10"), ("c", "1,000.25 MB")]).splitlines() == [
        "name          value", "------  -----------", "a               1.5", "longer           10",
        "c       1,000.25 MB"]


@pytest.mark.parametrize(("gpus", "left"), [(0, "SystemExit"), (1, "SystemExit"), (2, "at once")])
def test_with_several_gpus_a_process_leaves_without_taking_tensorflow_down(monkeypatch, gpus, left):
    """Which might never end."""
    def leave(code):
        raise KeyboardInterrupt(f"at once, {code}")

    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind] * gpus)
    monkeypatch.setattr(errors.atexit, "_run_exitfuncs", lambda: None)
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises((SystemExit, KeyboardInterrupt)) as ended:
        errors.leave(3)
    assert left in repr(ended)
    assert "3" in str(ended.value)
