"""Encodes and scores examples with an exported SavedModel in Apache Beam's RunInference.

    kvae export runs/mnist --out exported
    pip install "keras-vae[beam]"
    python examples/beam_encode.py --model exported/saved_model/1 --data x.npy --out beam/p

It runs on this machine. Other options, such as --runner=FlinkRunner, go to Beam; workers
then need tensorflow, apache-beam, and paths that all of them can read; no kvae, no keras.

Beam's own TFModelHandlerNumpy loads whole Keras models alone; the handler below calls the
named endpoints of a SavedModel, of a model without conditions whose q(z|x) has the
parameters loc and scale (DiagonalNormal), the columns below. Its elements are blocks of
rows: the noise of a score comes from its seed, the number of the block and the row in it,
so no number depends on how the runner cuts the work.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.ml.inference.base import ModelHandler, PredictionResult, RunInference
from apache_beam.options.pipeline_options import PipelineOptions

Block = tuple[int, np.ndarray]
"""Its number, and its rows (B, *data_shape) float32 as the model takes them."""


class Endpoints(ModelHandler[Block, PredictionResult, Any]):
    """Runs `encode` and `score` of a SavedModel on blocks of examples.

    Args:
        path: of the SavedModel, exported/saved_model/1.
        seed: of the scores; block b has the noise of the seed (seed, b).
    """

    def __init__(self, path: str, seed: int = 0) -> None:
        super().__init__()
        self._path = path
        self._seed = seed

    def load_model(self) -> Any:
        """Loads the SavedModel, once for each worker."""
        import tensorflow as tf

        return tf.saved_model.load(self._path)

    def run_inference(
        self,
        batch: Sequence[Block],
        model: Any,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[PredictionResult]:
        """Gives for each block the parameters of q(z|x) and elbo, rate, distortion."""
        import tensorflow as tf

        for block in batch:
            number, x = block
            seed = tf.constant([self._seed, number], tf.int32)
            encoded = model.signatures["encode"](x=tf.constant(x))
            scored = model.signatures["score"](x=tf.constant(x), seed=seed)
            values = {k: v.numpy() for k, v in {**encoded, **scored}.items()}
            yield PredictionResult(block, values)

    def batch_elements_kwargs(self) -> dict[str, int]:
        """A block is a batch already."""
        return {"max_batch_size": 1}

    def get_metrics_namespace(self) -> str:
        """The name of the counters that Beam keeps."""
        return "kvae"


class ReadBlock(beam.DoFn):
    """Reads one block of a .npy file, which every worker can reach.

    Args:
        path: of the file.
        size: rows per block.
        divisor: by which values are divided, 255 for bytes; 1 takes them as they are.
    """

    def __init__(self, path: str, size: int, divisor: float = 1.0) -> None:
        self._path = path
        self._size = size
        self._divisor = divisor

    def process(self, number: int) -> Iterator[Block]:
        """Gives the number and its rows."""
        rows = np.load(self._path, mmap_mode="r")
        x = rows[number * self._size : (number + 1) * self._size].astype("float32")
        yield number, x / np.float32(self._divisor)


def as_rows(result: PredictionResult, size: int) -> Iterator[dict[str, Any]]:
    """Splits what came of a block into rows, as `kvae encode` writes them."""
    number, x = result.example
    for row in range(len(x)):
        columns = {name: v[row].ravel() for name, v in result.inference.items()}
        single = ("elbo", "rate", "distortion")
        yield {
            "index": number * size + row,
            **{k: float(v[0]) if k in single else v for k, v in columns.items()},
        }


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="exported/saved_model/1")
    parser.add_argument("--data", required=True, help="a .npy file of examples")
    parser.add_argument(
        "--divisor",
        type=float,
        help="the number that training divided by, 255 for bytes; floats need none",
    )
    parser.add_argument("--out", required=True, help="of the Parquet files, a prefix")
    parser.add_argument("--block", type=int, default=512, help="examples per pass")
    parser.add_argument("--seed", type=int, default=0, help="of the scores")
    given, rest = parser.parse_known_args(argv)
    data = np.load(given.data, mmap_mode="r")
    if given.divisor is None and data.dtype.kind in "iu":
        parser.error(
            f"{given.data} holds {data.dtype}: give --divisor, 255 for bytes whose pixels "
            "were divided by 255 in training, 1 for integers taken as they are"
        )
    if given.divisor is not None and not given.divisor > 0:
        parser.error(f"--divisor must be above 0; received {given.divisor:g}")
    vector, number = pa.list_(pa.float32()), pa.float32()
    schema = pa.schema(
        [
            ("index", pa.int64()),
            ("loc", vector),
            ("scale", vector),
            *((name, number) for name in ("elbo", "rate", "distortion")),
        ]
    )
    with beam.Pipeline(options=PipelineOptions(rest, save_main_session=True)) as p:
        _ = (
            p
            | beam.Create(range(math.ceil(len(data) / given.block)))
            | beam.Reshuffle()  # so that blocks go to all workers
            | beam.ParDo(ReadBlock(given.data, given.block, given.divisor or 1.0))
            | RunInference(Endpoints(given.model, given.seed))
            | beam.FlatMap(as_rows, given.block)
            | beam.io.WriteToParquet(given.out, schema, file_name_suffix=".parquet")
        )


if __name__ == "__main__":
    main()
