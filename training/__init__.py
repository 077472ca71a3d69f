"""kvae.training: data sources, recipes, runs and their directories."""

from kvae.replicated_model import WorkerLost as WorkerLost
from kvae.training.checkpoint import Checkpoint as Checkpoint
from kvae.training.config import Config as Config
from kvae.training.divergence import Diverged as Diverged
from kvae.training.divergence import StopOnDivergence as StopOnDivergence
from kvae.training.encoding import encode_shards as encode_shards
from kvae.training.errors import UserError as UserError
from kvae.training.extras import MissingExtra as MissingExtra
from kvae.training.load_recipe import load_recipe as load_recipe
from kvae.training.load_recipe import recipe_names as recipe_names
from kvae.training.measure import measure as measure
from kvae.training.model_file import load_model_file as load_model_file
from kvae.training.parts import build_model as build_model
from kvae.training.parts import make_part as make_part
from kvae.training.pipeline import binarise_once as binarise_once
from kvae.training.pipeline import training_batches as training_batches
from kvae.training.run_directory import RunDirectory as RunDirectory
from kvae.training.runner import Run as Run
from kvae.training.runner import open_run as open_run
from kvae.training.runner import resume as resume
from kvae.training.runner import train as train
from kvae.training.sources import DataSet as DataSet
from kvae.training.sources import ExamplesOnDisk as ExamplesOnDisk
from kvae.training.sources import load_data as load_data
from kvae.training.sources import write_shards as write_shards
