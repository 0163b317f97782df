"""TODO."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf

from melgan_tf.config import Config
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.errors import UsageError
from melgan_tf.models.fast_vocoder.network import FastVocoder
from melgan_tf.models.melgan.networks import Generator


from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import keras
import numpy as np

from melgan_tf import weights
from melgan_tf.storage.checkpoints import restore
from melgan_tf.data.labels import Classes
from melgan_tf.config import Config, from_dict
from melgan_tf.models.frame_gan.config import FrameGANConfig
from melgan_tf.errors import UsageError
from melgan_tf.models.frame_gan import networks
from melgan_tf.models.sequence_gan import networks
from melgan_tf.models.spectrogram_gan import networks
from melgan_tf.inference.sampler import Sampler
from melgan_tf.models.sequence_gan.sampler import SequenceSampler
from melgan_tf.progress import Progress
from melgan_tf.storage.run_directory import RunDirectory
from melgan_tf.inference.vocoder import GRIFFIN_LIM, choose_vocoder
from melgan_tf.weights import PRETRAINED, digest, newest_state, read_card, read_weights


import dataclasses
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melgan_tf import storage
from melgan_tf.dsp import spectral
from melgan_tf.data.labels import Classes
from melgan_tf.config import Config
from melgan_tf.data.mel_dataset import SoundSet, batches, class_shares, labelled_batches, load_folder
from melgan_tf.evaluation import embed, frechet_distance
from melgan_tf.evaluation.artifacts import faults
from melgan_tf.models.frame_gan.config import COMPARED_SOUNDS
from melgan_tf.models.sequence_gan.config import STEP_FRAMES
from melgan_tf.inference.sampler import Sampler
from melgan_tf.models.sequence_gan.networks import CONTEXT_STEPS
from melgan_tf.models.sequence_gan.sampler import SequenceSampler
from melgan_tf.dsp.spectrogram_image import mel_image
from melgan_tf.progress import Progress
from melgan_tf.data.exchange import Share
from melgan_tf.models.frame_gan import train_step as vocoder as gan as sequence_gan
from melgan_tf.models.sequence_gan import train_step as vocoder as gan as sequence_gan
from melgan_tf.models.spectrogram_gan import train_step as vocoder as gan as sequence_gan
from melgan_tf.models.vocoder_training import train_step as vocoder as gan as sequence_gan
from melgan_tf.inference.vocoder import vocoder_for
from melgan_tf.data.waveform_dataset import WaveformSet, clip_batches, load_waveforms
from melgan_tf.data.window_dataset import WindowSet, load_windows, window_batches
from melgan_tf.models.frame_gan.task import FrameTask
from melgan_tf.models.sequence_gan.task import SequenceTask
from melgan_tf.models.spectrogram_gan.task import SpectrogramTask
from melgan_tf.models.vocoder_training.task import VocoderTask
from melgan_tf.training.task import Task


import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from melgan_tf.config.schema import check_types, require
from melgan_tf.models.fast_vocoder.config import FastVocoderConfig
from melgan_tf.models.frame_gan.config import FrameGANConfig
from melgan_tf.models.melgan.config import MelGANConfig
from melgan_tf.models.sequence_gan.config import SequenceGANConfig
from melgan_tf.models.spectrogram_gan.config import SpectrogramGANConfig





def build_vocoder(config: Config, training: bool = False) -> keras.Model:
    """The vocoder of a configuration, with initial weights.

    Args:
        config: a vocoder's.
        training: with weight norm, where the model has it, as it is trained; else folded away.
    """
    model, seed = config.model, config.training.seed
    if isinstance(model, FastVocoderConfig):
        return FastVocoder(config.audio, model, seed)
    return Generator(config.audio.mel_bins, model.ratios, model.channels, model.residual_layers,
                     weight_norm=training, seed=seed)


def build_generator(config: Config, classes: Classes | None) -> keras.Model:
    """A generator with initial weights, of the kind that a configuration asks for."""
    if classes:
        return train_step.Generator(config, len(classes))
    if config.any_length:
        return sequence_gan.Generator(config)
    return networks.Generator(config.model.noise_dim, config.model.weight_std)


def task_for(config: Config, data: str | Path, progress: Progress, valid: str | Path | None = None,
             share: Share | None = None) -> Task:
    """Reads the sounds for a configuration's kind of training; see `Task`."""
    kinds = {"spectrogram-gan": SpectrogramTask, "frame-gan": FrameTask, "sequence-gan": SequenceTask}
    return kinds.get(config.model.kind, VocoderTask)(config, data, progress, valid, share)


#: What `Config.model` may be; its ``kind`` tells which.
ModelConfig = SpectrogramGANConfig | FrameGANConfig | SequenceGANConfig | MelGANConfig | FastVocoderConfig
