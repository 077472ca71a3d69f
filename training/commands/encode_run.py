"""The verb encode: from a model and a data source, by name, to shards on disk."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np

from kvae.core.errors import UserError, user_errors
from kvae.objectives import is_completing
from kvae.tables import read_table
from kvae.training.commands.output_paths import changed_data
from kvae.training.config.config import Config
from kvae.training.data.pixel_scale import PixelScale
from kvae.training.data.sources import DataSet
from kvae.training.data.sources.picture import PictureOptions
from kvae.training.encoding.encode_shards import encode_shards
from kvae.training.encoding.encoding_source import PARTS, EncodingSource
from kvae.training.encoding.shard_files import check_format
from kvae.training.run.model_file import load_model_file
from kvae.training.run.pictures import is_image
from kvae.training.run.run_directory import RunDirectory
from kvae.training.run.runner import load_run_data


def encode(
    path: pathlib.Path,
    out: pathlib.Path,
    data: str | None = None,
    data_dir: str | None = None,
    part: str | None = None,
    file_format: str = "parquet",
    shard_size: int = 65536,
    batch_size: int = 512,
    scores: bool = True,
    num_samples: int = 1,
    seed: int = 0,
    skip_unreadable: bool = False,
) -> None:
    """Encodes and scores every example of a data source into a folder of shards.

    Args:
        path: of the run, or of a .keras file.
        out: the folder to create, or to resume.
        data: a source, as for `train`; the run's own if None.
        data_dir: where TFDS keeps its data now; None if it has not moved.
        part: train, validation or test; all, in this order, if None.
        file_format: parquet or tfrecord.
        shard_size: examples per file.
        batch_size: examples per pass.
        scores: whether to write the ELBO too.
        num_samples: K, latents per example of the ELBO.
        seed: of the latents.
        skip_unreadable: skip damaged images in a folder.
    """
    check_format(file_format)  # before the model and the data are read
    if path.suffix == ".keras":
        config, vae, known = None, load_model_file(path), PixelScale()
    else:
        directory = RunDirectory.open(path)
        config, vae = directory.read_config(), directory.load_model()
        known = scale_of_the_run(directory, config)
    source = open_examples(vae, config, known, data, data_dir, part, skip_unreadable)
    if config is not None and vae.condition is not None:
        source = with_labels_of_the_run(source, directory.label_names())
    folder = encode_shards(
        vae,
        inputs_of(vae, source),
        out,
        labels=source.labels,
        texts=source.texts(),
        file_format=file_format,
        shard_size=shard_size,
        batch_size=batch_size,
        scores=scores,
        num_samples=num_samples,
        seed=seed,
        facts={
            "source": source.name,
            "parts": source.parts,
            "divisor": source.divisor,
        },
    )
    sizes = ", ".join(f"{name} {count}" for name, count in source.parts.items())
    shards = f"{folder.num_shards} shard{'s' if folder.num_shards > 1 else ''}"
    print(
        f"Encoded {len(source.x)} examples of {source.name} ({sizes}) into {shards} in "
        f"{out}"
    )


def scale_of_the_run(directory: RunDirectory, config: Config) -> PixelScale:
    """How the pixels of a run were scaled in training."""
    return PixelScale(
        config.pixel_max, directory.integer_divisor(), directory.pixel_range()
    )


def open_examples(
    vae: Any,
    config: Config | None,
    known: PixelScale,
    data: str | None,
    data_dir: str | None,
    part: str | None,
    skip_unreadable: bool,
    hide_unseen: bool = False,
    loaded: DataSet | None = None,
) -> EncodingSource:
    """Opens the data of a run, or other examples, scaled as in its training.

    Args:
        vae: the model.
        config: of the run; None for a model file.
        known: how pixels were scaled in training.
        data: a source, as for `train`; the run's own if None.
        data_dir: where TFDS keeps its data; None if it has not moved.
        part: train, validation or test; all if None.
        skip_unreadable: skip damaged images in a folder.
        hide_unseen: hide levels of a table that the run's data didn't have, instead of
            raising.
        loaded: the run's own data; they are loaded if None.
    """
    if data is None and config is None:
        raise UserError("a .keras file doesn't name its data; add --data.")
    config = dataclasses.replace(config or Config(), **changed_data(data_dir))
    binarize = config.binarize == "dynamic"
    if data is None:  # its test and validation pixels are already drawn
        drawn = ("validation", "test") if binarize else PARTS
        own = load_run_data(config) if loaded is None else loaded
        return EncodingSource.of(own, part, drawn, known)
    if vae.schema is not None:
        name = pathlib.Path(data).name
        with user_errors(name):
            rows = vae.schema.encode(read_table(data), hide_unseen=hide_unseen)
        return EncodingSource(name, rows, None, {"all": len(rows)})
    images = PictureOptions(
        resize=config.resize, skip_unreadable=skip_unreadable or config.skip_unreadable
    )
    if is_image(vae.data_shape):  # scaled as in training
        height, width, channels = (*vae.data_shape, 1)[:3]
        images = dataclasses.replace(images, size=(height, width), channels=channels)
    return EncodingSource.open(data, part, binarize, config.data_dir, images, known)


def with_labels_of_the_run(source: EncodingSource, names: list[str]) -> EncodingSource:
    """Numbers the labels by name as in training, if both have names."""
    own = source.label_names
    if source.labels is None or own is None or list(own) == names:
        return source
    if not names or (unknown := sorted(set(own) - set(names))):
        raise UserError(
            f"the labels of {source.name} are {', '.join(own)}, and the run was trained on "
            f"{', '.join(names) or 'labels without names'}"
            + (f"; it does not know {unknown[0]!r}." if names else ".")
        )
    number = np.array([names.index(name) for name in own])
    return dataclasses.replace(
        source, labels=number[source.labels[:]], label_names=tuple(names)
    )


def inputs_of(vae: Any, source: EncodingSource) -> Any:
    """Rows in the form that the model takes: x, or a dict of x and condition."""
    if vae.condition is None or is_completing(vae):  # which encode_shards refuses
        return source.x
    if not vae.condition.classes:
        raise UserError(
            f"the model is conditioned on {vae.condition}, and only labels are read from "
            "a data source. In Python: kvae.training.encode_shards(vae, "
            '{"x": x, "condition": c}, out).'
        )
    if source.labels is None:
        raise UserError(
            f"{source.name} has no labels, and the model is conditioned on them."
        )
    return {"x": source.x, "condition": source.labels}
