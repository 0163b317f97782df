"""A sound model on a server: the same interface as one that is loaded here. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

from melgan_tf.config import Config, from_dict
from melgan_tf.config.strict_json import expect
from melgan_tf.errors import MelGANError, UsageError
from melgan_tf.inference.client.served_sampler import ServedLoops, ServedSampler, Server
from melgan_tf.inference.client.transport import Transport
from melgan_tf.inference.origin import vocoder_name
from melgan_tf.inference.output_folder import FileNames
from melgan_tf.inference.sound_model import SoundModel
from melgan_tf.progress import Progress
from melgan_tf.storage.json_file import MAX_LIST_BYTES, read_json


def connect(address: str, name: str, version: int | None = None, deadline: float = 60.0,
            fingerprint: str | Path | None = None, progress: Progress | None = None) -> SoundModel:
    """See `melgan_tf.api.connect`."""
    if not deadline > 0:
        raise UsageError(f"a deadline of {deadline} seconds: give a positive number")
    if not name:
        raise UsageError("the name of the model is empty: give that under which it is served")
    server = Server(_transport(address, name, version), deadline, progress or Progress())
    described = server.describe()
    loops = "bpm" in described
    try:
        expect(described, preset=str, step=int, weights=str, source=str, max_batch=int, config=dict, vocoder=dict,
               licenses=list, features=list,
               **({"bpm": list, "bars": int, "asked": dict} if loops else {"samples": int}))
        config = from_dict(Config, described["config"])
        sampler = (ServedLoops if loops else ServedSampler)(config, described, server)
    except (ValueError, KeyError, TypeError, UsageError) as error:
        if described.get("samples", 0) is None and not loops:
            raise UsageError(f"{address} serves a model that makes sounds of any length: `melgan-tf generate` makes "
                             "them here") from None
        raise MelGANError(f"{address} serves a model that cannot be used here ({error}): export it with this version "
                          "of melgan-tf, and as a model of sounds") from None
    entry = {"address": server.transport.address, "model": name, "version": server.transport.version}
    model = SoundModel(sampler, config, described["step"], described["weights"], described["source"], server=entry,
                       server_licenses=described["licenses"])
    if fingerprint is not None:
        _require_same(model, fingerprint)
    return model


def _transport(address: str, name: str, version: int | None) -> Transport:
    if address.startswith("grpc://"):
        from melgan_tf.inference.client.grpc_transport import GrpcTransport

        return GrpcTransport(address, name, version)
    from melgan_tf.inference.client.rest import RestTransport

    return RestTransport(address, name, version)


def _require_same(model: SoundModel, expected: str | Path) -> None:
    """Raises unless a model has these digits, or made the sounds in a folder."""
    found = {"weights": model.weights}
    if isinstance(expected, str) and not Path(expected).exists():
        wanted = {"weights": expected}
    else:
        path = Path(expected, FileNames.of().record)
        try:
            record = read_json(path, MAX_LIST_BYTES)
            wanted = {"weights": record["weights"], "vocoder": vocoder_name(record["vocoder"])}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise UsageError(f"{path} is no record of generated sounds: give a folder that has one, or the digits of "
                             "the weights") from None
        found["vocoder"] = vocoder_name(model.vocoder_metadata)
    for what, value in wanted.items():
        if found[what] != value:
            served = "{address} serves {model} {version}".format(**model.server)
            raise MelGANError(f"{served} with the {what} {found[what]}, not {value}: ask for another --version, or "
                              "remove --fingerprint")
