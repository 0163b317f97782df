"""Files in local folders and remote storage: paths, atomic writes, locks, run directories, checkpoints.

The functions of `melgan_tf.storage.paths` are available here: ``storage.path``, ``storage.is_remote``, ...
"""

from melgan_tf.storage.backend import StorageError
from melgan_tf.storage.paths import (
    fetch,
    is_remote,
    local,
    needs_hard_exit,
    path,
    remove_tree,
    server_side_copy,
    sizes,
    temporary_folder,
    uploading,
)
from melgan_tf.storage.registry import SCHEMES

__all__ = ["SCHEMES", "StorageError", "fetch", "is_remote", "local", "needs_hard_exit", "path", "remove_tree",
           "server_side_copy", "sizes", "temporary_folder", "uploading"]
