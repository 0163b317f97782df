"""Which files are sounds, by their extensions and first bytes."""

from __future__ import annotations

from melgan_tf.audio import chunks, mpeg

EXTENSIONS = frozenset({".wav", ".wave", ".flac", ".aif", ".aiff", ".aifc", ".ogg", ".oga", ".opus", ".mp3", ".m4a",
                        ".mp4", ".aac", ".caf"})
#: Bytes by which a sound is known: a little more than the first frame of an MP3.
HEAD_BYTES = 2048
_UNAMBIGUOUS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"fLaC", b"caff")


def looks_like_audio(head: bytes, extension: str = "") -> bool:
    """Whether the first bytes of a file are those of a known sound format; 16 suffice except for bare MP3 and AAC.

    With an ``extension`` that is not a sound's, ambiguous ones do not count: videos and images may start as M4A does.
    """
    if extension and head[:4] not in _UNAMBIGUOUS:
        return False
    return (chunks.is_chunked_sound(head) or head[:4] in (b"fLaC", b"OggS") or head[:3] == b"ID3"
            or head[4:8] == b"ftyp" or mpeg.starts_with_frames(head))
