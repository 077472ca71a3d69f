"""Data sources and the input pipeline of a fit."""
