"""Finding sound files: names, labels, links, and what cannot be opened."""

from __future__ import annotations

import collections
import os

import pytest
from encoded_sounds import RATE, encoded, tone

from melgan_tf.audio import find as scan
from melgan_tf.audio import read as audio
from melgan_tf.audio.find import Skipped, SoundFile
from melgan_tf.errors import MelGANError, UsageError


def test_find_lists_every_depth_in_order_with_labels(put, tmp_path):
    for name in ("kick/b.wav", "top.flac", "kick/a.WAV", "snare/dry/close/x.Mp3", "Z.aiff", "kick/10.m4a"):
        put(b"x", name)
    sounds, skipped = audio.find(tmp_path)
    assert [(sound.name, sound.label) for sound in sounds] == [
        ("Z.aiff", ""), ("kick/10.m4a", "kick"), ("kick/a.WAV", "kick"), ("kick/b.wav", "kick"),
        ("snare/dry/close/x.Mp3", "snare/dry/close"), ("top.flac", "")]
    assert [sound.path for sound in sounds] == [tmp_path / sound.name for sound in sounds]
    assert skipped == []
    assert audio.find(str(tmp_path)) == (sounds, skipped)


def test_find_takes_every_known_extension_and_no_other(put, tmp_path):
    wanted = ["wav", "wave", "flac", "aif", "aiff", "aifc", "ogg", "oga", "opus", "mp3", "m4a", "mp4", "aac", "caf"]
    for extension in (*wanted, "txt", "json", "asd", "jpg", "wav.part"):
        put(b"RIFF", f"x.{extension}")
    assert [sound.name for sound in audio.find(tmp_path)[0]] == sorted(f"x.{extension}" for extension in wanted)


@pytest.mark.parametrize("head", [b"RIFF....WAVE", b"RIFX....WAVE", b"RF64....WAVE", b"fLaC", b"FORM....AIFF",
                                  b"FORM....AIFC", b"OggS", b"caff", b"ID3\3", b"\0\0\0\x20ftypM4A "])
def test_find_looks_into_files_without_extension(put, tmp_path, head):
    put(head + b"\0" * 20, "kick")
    put(b"All rights reserved", "LICENSE")
    put(b"", "nothing")
    put(b"RIFF....WEBPVP8 ", "picture")
    assert [sound.name for sound in audio.find(tmp_path)[0]] == ["kick"]


def test_find_ignores_hidden_files_and_folders(put, tmp_path):
    for name in (".hidden.wav", "._AppleDouble.wav", ".trash/x.wav", "seen.wav", "__MACOSX/._seen.wav"):
        put(b"x", name)
    assert [sound.name for sound in audio.find(tmp_path)[0]] == ["seen.wav"]


def test_find_follows_links_once_and_out_of_loops(put, tmp_path):
    put(b"x", "outside/far.wav")
    put(b"x", "outside/store/0a1b")
    put(b"x", "data/real/x.wav")
    (tmp_path / "data/a_link").symlink_to(tmp_path / "data/real")  # would come first if links were not put off
    (tmp_path / "data/a_link.wav").symlink_to("real/x.wav")
    (tmp_path / "data/real/loop").symlink_to(tmp_path / "data")
    (tmp_path / "data/real/up").symlink_to(tmp_path)  # leads to the data by another way
    (tmp_path / "data/elsewhere").symlink_to(tmp_path / "outside")
    (tmp_path / "data/again").symlink_to(tmp_path / "outside")
    (tmp_path / "data/notes.txt").symlink_to(tmp_path / "outside/store/0a1b")
    (tmp_path / "data/stored.wav").symlink_to(tmp_path / "outside/store/0a1b")  # named by the link, as git-annex does
    (tmp_path / "data/self.wav").symlink_to(tmp_path / "data/self.wav")
    (tmp_path / "data/gone.wav").symlink_to("nowhere.wav")
    sounds, skipped = audio.find(tmp_path / "data")
    assert [(sound.name, sound.label) for sound in sounds] == [
        ("again/far.wav", "again"), ("real/x.wav", "real"), ("stored.wav", "")]
    assert [skip.name for skip in skipped] == ["gone.wav", "self.wav"]
    assert skipped[0].reason == "cannot be read: No such file or directory"


def test_find_lists_a_file_once_that_is_linked_and_lies_in_a_linked_folder(put, tmp_path):
    put(b"x", "outside/far.wav")
    put(b"x", "outside/near.wav")
    put(b"x", "data/.store/key.wav")
    (tmp_path / "data/a.wav").symlink_to(tmp_path / "outside/far.wav")
    (tmp_path / "data/b").symlink_to(tmp_path / "outside")
    (tmp_path / "data/c.wav").symlink_to(tmp_path / "outside/near.wav")
    (tmp_path / "data/d.wav").symlink_to(".store/key.wav")  # hidden itself
    (tmp_path / "data/e.wav").symlink_to(".store/key.wav")
    assert [sound.name for sound in audio.find(tmp_path / "data")[0]] == ["a.wav", "b/near.wav", "d.wav"]


def test_scan_comes_in_the_order_of_names_and_counts_the_rest(put, tmp_path):
    names = ["a-b.wav", "a.wav", "a/x.wav", "a/z/1.wav", "a/z.wav", "a0.wav", "b.flac"]
    for name in (*names, "a/notes.txt", "out/left.wav", "cover.JPG", "b.txt", "LICENSE"):
        put(b"x", name)
    ignored = collections.Counter()
    found = [sound.name for sound in scan.scan(tmp_path, tmp_path / "out", ignored)]
    assert found == sorted(names)
    assert ignored == {".txt": 2, ".jpg": 1, "": 1}
    assert scan.count(tmp_path) == len(names) + 1


def test_find_reports_folders_that_cannot_be_opened(put, tmp_path):
    put(b"x", "fine/x.wav")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):  # deeper than a path may be long: to be entered step by step only
        os.mkdir("d" * 250, dir_fd=here)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    sounds, skipped = audio.find(tmp_path)
    assert [sound.name for sound in sounds] == ["fine/x.wav"]
    assert len(skipped) == 1
    assert skipped[0].name.endswith("/" + "d" * 250 + "/")
    assert skipped[0].reason == "cannot be opened: File name too long"


def test_find_reports_folders_without_permission(put, tmp_path, monkeypatch):
    put(b"x", "fine/x.wav")
    put(b"x", "locked/x.wav")
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)  # file modes would not stop a superuser
    sounds, skipped = audio.find(tmp_path)
    assert [sound.name for sound in sounds] == ["fine/x.wav"]
    assert skipped == [Skipped("locked/", "cannot be opened: Permission denied")]


def test_find_accepts_one_file(put):
    path = put(b"x", "kick/x.wav")
    assert audio.find(path) == ([SoundFile(path, "x.wav", "")], [])


def test_find_refuses_missing_folders(put, tmp_path):
    file = put(b"x")
    for missing in (tmp_path / "gone", file / "below"):
        with pytest.raises(UsageError, match=f"folder {missing} does not exist: give a folder"):
            audio.find(missing)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(MelGANError, match="cannot read .*loop: .*symbolic links; give a readable folder") as caught:
        audio.find(tmp_path / "loop")
    assert caught.value.exit_code == 1


def test_names_that_are_not_utf8_become_printable(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.wav", "wb") as file:
        file.write(encoded(tone()))
    sound, = audio.find(tmp_path)[0]
    assert sound.name == "caf?.wav"
    assert len(audio.load(sound.path, RATE)) == RATE // 2


def test_links_to_what_may_not_be_read_are_skipped_one_by_one(put, tmp_path, monkeypatch):
    put(encoded(tone()), "data/good.wav")
    put(encoded(tone()), "data/locked")
    put(encoded(tone()), "secret/locked")
    (tmp_path / "data/link.wav").symlink_to("locked")
    (tmp_path / "data/other").symlink_to(tmp_path / "secret/locked")
    (tmp_path / "data/loop.wav").symlink_to("loop.wav")
    (tmp_path / "data/gone.wav").symlink_to("nowhere")
    plain = open

    def denied(path, *arguments, **options):
        if str(path).endswith(("locked", "other")):
            raise PermissionError(13, "Permission denied")
        return plain(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", denied)
    sounds, skipped = audio.find(tmp_path / "data")
    assert [sound.name for sound in sounds] == ["good.wav"]
    assert {skip.name: skip.reason for skip in skipped} == {
        "gone.wav": "cannot be read: No such file or directory", "link.wav": "cannot be read: Permission denied",
        "locked": "cannot be read: Permission denied", "loop.wav": "cannot be read: Too many levels of symbolic links",
        "other": "cannot be read: Permission denied"}
