"""A program that kills its parent process unless its standard input is closed in time.

``python -IS kill_after.py SECONDS MESSAGE``. `melgan_tf.training.workers` runs it while TensorFlow connects workers:
that call holds Python's lock, so neither a thread nor a signal handler of the process could end it.
"""

import os
import select
import signal
import sys


def main(seconds: str, message: str) -> None:
    """Waits for the end of standard input; after ``seconds``, prints ``message`` and kills the parent."""
    closed, _, _ = select.select([0], [], [], float(seconds))
    if not closed:
        print(message, file=sys.stderr, flush=True)
        os.kill(os.getppid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
