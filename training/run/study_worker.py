"""A process of a study, which trains one run: `python -m kvae.training.run.study_worker`.

Its input is a line of JSON: the path of the run, its configuration, and the number of
threads. When the input closes, the study is gone, and the run is saved and ends. The exit
status is 0, 2 with a mistake of the user in the last line of the log, or 1.
"""

from __future__ import annotations

import json
import logging
import os
import pathlib
import signal
import sys
import threading

import tensorflow as tf

from kvae.core.errors import UserError
from kvae.training.config.config import Config
from kvae.training.run.study_runs import train_and_measure


def main() -> int:
    """Trains the run that the input names."""
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_study, daemon=True).start()
    tf.config.threading.set_intra_op_parallelism_threads(asked["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(asked["threads"])
    logging.basicConfig(format="%(message)s")
    logging.getLogger("kvae").setLevel(logging.INFO)
    try:
        train_and_measure(pathlib.Path(asked["path"]), Config(**asked["config"]))
    except UserError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


def _end_with_the_study() -> None:
    os.read(0, 1)  # not sys.stdin: a waiting thread would hold its lock to the end
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
