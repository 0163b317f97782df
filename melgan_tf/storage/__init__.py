"""Files in local folders and remote storage: paths, atomic writes, locks, run directories, checkpoints.

The functions of `melgan_tf.storage.paths` and `melgan_tf.storage.transfer` are available here: ``storage.path``,
``storage.is_remote``, ...
"""

from melgan_tf.storage.backend import StorageError
from melgan_tf.storage.paths import address, check_lease, fetch, is_remote, local, needs_hard_exit, path, recorded
from melgan_tf.storage.registry import SCHEMES
from melgan_tf.storage.temporaries import temporary_folder
from melgan_tf.storage.transfer import remove_tree, server_side_copy, sizes, uploading

__all__ = ["SCHEMES", "StorageError", "address", "check_lease", "fetch", "is_remote", "local", "needs_hard_exit",
           "path", "recorded", "remove_tree", "server_side_copy", "sizes", "temporary_folder", "uploading"]
