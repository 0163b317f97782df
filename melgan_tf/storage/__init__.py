"""Files in local folders and remote storage: paths, atomic writes, locks, run directories, checkpoints.

The functions of `melgan_tf.storage.paths` are offered here: ``storage.path``, ``storage.is_remote``, ...
"""

from melgan_tf.storage.paths import (
    SCHEMES,
    StorageError,
    duplicate,
    fetch,
    is_remote,
    local,
    objects_used,
    path,
    remove_tree,
    sizes,
    uploading,
    workplace,
)

__all__ = ["SCHEMES", "StorageError", "duplicate", "fetch", "is_remote", "local", "objects_used", "path",
           "remove_tree", "sizes", "uploading", "workplace"]
