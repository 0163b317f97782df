"""Synthesis in pieces equals synthesis of the whole, for both kinds of vocoder, in bounded memory."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from melgan_tf.config import presets
from melgan_tf.config.registry import build_network
from melgan_tf.errors import UsageError
from melgan_tf.inference import streaming as models_vocoder
from melgan_tf.inference.streaming import StreamingVocoder, compiled, in_chunks, pieces
from melgan_tf.inference.vocoder import Vocoder
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.models.melgan.config import MelGANConfig
from melgan_tf.storage.run_directory import with_training

FAST = FastVocoderConfig(channels=32, sub_channels=32, dilations=(1, 2))

#: preset, changes of its mels, model
KINDS = {
    "fast-16k": ("vocoder-16k", {}, FAST),
    "fast-16k-subframes": ("vocoder-16k", {}, dataclasses.replace(FAST, subframes=4, corrections=2)),
    "fast-22k": ("vocoder-22k", {}, dataclasses.replace(FAST, overlap=4)),
    "fast-22k-low": ("vocoder-22k", {}, dataclasses.replace(FAST, low_rounds=2)),
    "melgan": ("melgan", {"hop_samples": 8, "n_fft": 64, "mel_bins": 12},
               MelGANConfig(ratios=(4, 2), channels=4, residual_layers=2)),
    "melgan-odd": ("melgan", {"hop_samples": 15, "n_fft": 64, "mel_bins": 12},
                   MelGANConfig(ratios=(5, 3), channels=4, residual_layers=1)),
}
FRAMES = 130


def configuration(kind):
    name, changes, model = KINDS[kind]
    config = presets.get(name)
    audio = dataclasses.replace(config.audio, **changes)
    data = dataclasses.replace(config.data, clip_samples=64 * audio.hop_samples)
    return with_training(dataclasses.replace(config, audio=audio, data=data, model=model), seed=5)


@pytest.fixture(scope="module", params=KINDS)
def vocoder(request) -> Vocoder:
    """With initial weights."""
    config = configuration(request.param)
    return Vocoder(build_network(config), config, request.param, 0, "000000000000")


@pytest.fixture(scope="module")
def mel(vocoder) -> np.ndarray:
    return np.random.default_rng(0).uniform(-2, 1, (FRAMES, vocoder.audio.mel_bins)).astype("float32")


@pytest.fixture(scope="module")
def whole(vocoder, mel) -> np.ndarray:
    made = vocoder.vocode(mel[None])[0]
    assert made.shape == (FRAMES * vocoder.audio.hop_samples,)
    assert made.std() > 1e-3
    return made


def close(made, expected):
    """Within 1e-5, of the peak if that is more than 1."""
    assert made.shape == expected.shape
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-5 * np.abs(expected).max(initial=1.0))


def cut(mel, sizes):
    """Pieces of these sizes, then the rest."""
    return np.split(mel, np.cumsum(sizes)) if len(sizes) else [mel]


def pushed(stream, parts):
    return np.concatenate([*(stream.push(part) for part in parts), stream.finish()])


# -- equal to the whole ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("frames", [1, 7, 50])
def test_chunks_joined_are_the_whole(vocoder, mel, whole, frames):
    audio = vocoder.audio
    parts = list(vocoder.in_chunks(mel, frames * audio.hop_samples / audio.sample_rate))
    close(np.concatenate(parts), whole)
    longest = max(len(part) for part in parts[:-1])
    assert longest == frames * audio.hop_samples


@pytest.mark.parametrize("seed", range(2))
def test_pushes_of_any_size_joined_are_the_whole(vocoder, mel, whole, seed):
    """Some of them empty."""
    sizes = np.random.default_rng(seed).integers(0, 20, 12)
    close(pushed(vocoder.stream(), cut(mel, sizes)), whole)


def test_the_whole_in_one_push(vocoder, mel, whole):
    stream = vocoder.stream()
    first = stream.push(mel)
    assert len(first) == (FRAMES - vocoder.model.context_frames) * vocoder.audio.hop_samples
    close(np.concatenate([first, stream.finish()]), whole)


def test_output_is_delayed_by_the_context_only(vocoder, mel, whole):
    """And it is final."""
    stream, hop, context, made = vocoder.stream(), vocoder.audio.hop_samples, vocoder.model.context_frames, 0
    for i in range(context + 10):
        part = stream.push(mel[i:i + 1])
        assert len(part) == (hop if i >= context else 0)
        close(part, whole[made:made + len(part)])
        made += len(part)


def test_less_context_changes_the_output():
    """So the comparisons above can fail."""
    config = configuration("fast-16k")
    model = build_network(config)
    vocoder = Vocoder(model, config, "", 0, "")
    mel = np.random.default_rng(0).uniform(-2, 1, (1, 40, config.audio.mel_bins)).astype("float32")
    parts = list(in_chunks(vocoder.vocode, pieces(mel[0], 4), model.hop_samples, model.context_frames // 2))
    assert np.abs(np.concatenate(parts) - vocoder.vocode(mel)[0]).max() > 1e-3


# -- several cores ---------------------------------------------------------------------------------------------------

@pytest.mark.slow
def test_cores_share_a_long_sound_and_a_batch(vocoder, monkeypatch):
    """The result is that of one core."""
    shared = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers):
            shared.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(models_vocoder, "ThreadPoolExecutor", Pool)
    one, three = (compiled(vocoder.model, vocoder.audio.mel_bins, cores) for cores in (1, 3))
    rng, context = np.random.default_rng(1), vocoder.model.context_frames
    for shape, start, workers in (((1, 5 * context + 1), 5, [2]), ((1, 10 * context), 0, [3]), ((5, 6), 3, [3]),
                                  ((1, 2), 0, [])):
        mel = rng.uniform(-2, 1, (*shape, vocoder.audio.mel_bins)).astype("float32")
        shared.clear()
        close(three(mel, start), one(mel, start))
        assert shared == workers


# -- short sounds ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("frames", "piece"), [(1, 1), (3, 2), (4, 50)])
def test_sounds_shorter_than_the_context(vocoder, mel, frames, piece):
    assert frames < vocoder.model.context_frames
    expected = vocoder.vocode(mel[None, :frames])[0]
    assert expected.shape == (frames * vocoder.audio.hop_samples,)
    stream = vocoder.stream()
    parts = [stream.push(part) for part in pieces(mel[:frames], piece)]
    assert not any(len(part) for part in parts)
    close(stream.finish(), expected)


def test_a_mel_of_too_few_frames_is_lengthened_by_its_last(vocoder, mel):
    least, hop = vocoder.model.min_frames, vocoder.audio.hop_samples
    for frames in range(1, least):
        longer = np.concatenate([mel[:frames], *[mel[frames - 1:frames]] * (least - frames)])
        close(vocoder.vocode(mel[None, :frames])[0], vocoder.vocode(longer[None])[0, :frames * hop])


def test_no_frames_are_no_sound(vocoder, mel):
    stream = vocoder.stream()
    assert stream.finish().shape == (0,)
    assert stream.push(mel[:0]).shape == (0,)
    assert stream.finish().shape == (0,)
    assert np.concatenate(list(vocoder.in_chunks(mel[:0], 1.0))).shape == (0,)


# -- memory, and starting again ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("frames", [1, 7, 50])
def test_memory_does_not_grow(vocoder, mel, frames):
    context, longest = vocoder.model.context_frames, 0

    def vocode(piece, start):
        nonlocal longest
        longest = max(longest, piece.shape[1])
        return np.zeros((1, piece.shape[1] * vocoder.audio.hop_samples), np.float32)

    stream = StreamingVocoder(vocode, vocoder.audio.hop_samples, context)
    for part in pieces(np.concatenate([mel] * 3), frames):
        stream.push(part)
    stream.finish()
    assert longest <= frames + 2 * context


def test_after_finish_the_clock_restarts_at_zero(vocoder, mel, whole):
    """Elsewhere in the clock's period the same mel sounds different."""
    stream = vocoder.stream()
    for frames in (1, 31, 77, FRAMES):
        close(pushed(stream, pieces(mel[:frames], 7)), vocoder.vocode(mel[None, :frames])[0])
    moved = np.abs(vocoder.vocode(mel[None, :40], 5) - vocoder.vocode(mel[None, :40])).max()
    assert (moved > 1e-2) == (vocoder.model.clock_period_frames > 1)


def test_every_piece_gets_its_start():
    starts = []

    def vocode(piece, start):
        starts.append((start, piece.shape[1]))
        return np.repeat(piece[..., 0], 2, axis=1)

    made = np.concatenate(list(in_chunks(vocode, pieces(np.arange(12.0)[:, None], 3), 2, 2)))
    np.testing.assert_array_equal(made, np.repeat(np.arange(12), 2))
    assert starts == [(0, 3), (0, 6), (2, 7), (5, 7)]  # two frames on either side, where there are any


def test_two_streams_do_not_mix(vocoder, mel, whole):
    one, two = vocoder.stream(), vocoder.stream()
    parts = [(one.push(part), two.push(part[::-1])) for part in pieces(mel, 13)]
    close(np.concatenate([*(part for part, _ in parts), one.finish()]), whole)


@pytest.mark.parametrize("frames", [0, -3])
def test_chunks_of_no_frames_are_refused(frames):
    with pytest.raises(UsageError, match=f"chunks of {frames} frames: give 1 or more"):
        list(pieces(np.zeros((3, 2)), frames))


def test_pieces_are_the_mel_in_order():
    mel = np.arange(14).reshape(7, 2)
    parts = list(pieces(mel, 3))
    assert [len(part) for part in parts] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(parts), mel)
