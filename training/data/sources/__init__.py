"""Data sources, one file per kind, listed in `SOURCES`; `load_data` finds the kind."""

from kvae.training.data.sources.array_file import read_array_file as read_array_file
from kvae.training.data.sources.array_shards import (
    read_array_shards as read_array_shards,
)
from kvae.training.data.sources.data_set import DataSet as DataSet
from kvae.training.data.sources.data_set import Raw as Raw
from kvae.training.data.sources.data_set import prepare as prepare
from kvae.training.data.sources.digits import read_digits as read_digits
from kvae.training.data.sources.examples_on_disk import ExamplesOnDisk as ExamplesOnDisk
from kvae.training.data.sources.image_folder import (
    read_image_folder as read_image_folder,
)
from kvae.training.data.sources.load import SOURCES as SOURCES
from kvae.training.data.sources.load import find_source as find_source
from kvae.training.data.sources.load import load_data as load_data
from kvae.training.data.sources.load import located as located
from kvae.training.data.sources.source import Request as Request
from kvae.training.data.sources.source import Source as Source
from kvae.training.data.sources.tfds_images import read_tfds as read_tfds
from kvae.training.data.sources.write_shards import write_shards as write_shards
