"""Trains CTGAN's TVAE on one CSV file and draws another; `tables.py` calls it.

    python tables_tvae.py train.csv synthetic.csv --num 1000 --categorical job class

It needs only ctgan, so that it runs in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import pandas as pd
import torch
from ctgan import TVAE


def main() -> None:
    """Writes the drawn rows, and prints the processor seconds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("out")
    parser.add_argument("--num", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--categorical", nargs="*", default=[])
    arguments = parser.parse_args()
    np.random.seed(arguments.seed)
    torch.manual_seed(arguments.seed)
    frame = pd.read_csv(arguments.train)
    began = time.process_time()
    model = TVAE(epochs=arguments.epochs, enable_gpu=False)
    model.fit(frame, discrete_columns=arguments.categorical)
    seconds = time.process_time() - began
    model.sample(arguments.num).to_csv(arguments.out, index=False)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
