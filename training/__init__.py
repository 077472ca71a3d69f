"""kvae.training: data sources, recipes, runs and their directories."""

from kvae.core.errors import UserError as UserError
from kvae.core.extras import MissingExtra as MissingExtra
from kvae.fitting.replicas import WorkerLost as WorkerLost
from kvae.training.checkpoint.checkpoint import Checkpoint as Checkpoint
from kvae.training.checkpoint.divergence import Diverged as Diverged
from kvae.training.checkpoint.divergence import StopOnDivergence as StopOnDivergence
from kvae.training.config.config import Config as Config
from kvae.training.config.load_recipe import load_recipe as load_recipe
from kvae.training.config.load_recipe import recipe_names as recipe_names
from kvae.training.data.pipeline import binarize_once as binarize_once
from kvae.training.data.pipeline import training_batches as training_batches
from kvae.training.data.sources import DataSet as DataSet
from kvae.training.data.sources import ExamplesOnDisk as ExamplesOnDisk
from kvae.training.data.sources import load_data as load_data
from kvae.training.data.sources import write_shards as write_shards
from kvae.training.encoding.encode_shards import encode_shards as encode_shards
from kvae.training.run.build_model import build_model as build_model
from kvae.training.run.build_model import make_part as make_part
from kvae.training.run.measure import measure as measure
from kvae.training.run.model_file import load_model_file as load_model_file
from kvae.training.run.run_directory import RunDirectory as RunDirectory
from kvae.training.run.runner import Run as Run
from kvae.training.run.runner import open_run as open_run
from kvae.training.run.runner import resume as resume
from kvae.training.run.runner import train as train
from kvae.training.run.training_pictures import TrainingPictures as TrainingPictures
