"""The functions of `import melgan_tf as mt`: one for each thing that the package does.

Every function checks its arguments before it loads TensorFlow.
"""

from melgan_tf.api.evaluation import choose, evaluate, explore
from melgan_tf.api.models import connect, export, info, load, load_sound_model, load_vocoder, play
from melgan_tf.api.sounds import DEFAULT_VOCODER, interpolate, kit, regenerate, vary, vocode
from melgan_tf.api.training import import_torch, prepare, train

__all__ = ["DEFAULT_VOCODER", "choose", "connect", "evaluate", "explore", "export", "import_torch", "info",
           "interpolate", "kit", "load", "load_sound_model", "load_vocoder", "play", "prepare", "regenerate", "train",
           "vary", "vocode"]
