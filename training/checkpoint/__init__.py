"""Checkpoints from which a fit resumes bit for bit."""

from kvae.training.checkpoint.checkpoint import Checkpoint as Checkpoint
