"""Objectives: what is minimised. To add one: subclass Objective, list it here, add a specimen."""

from kvae.objectives.base import Objective as Objective
from kvae.objectives.base import batch_mean as batch_mean
from kvae.objectives.elbo import ELBO as ELBO
