"""Data sources and the pipeline that feeds a fit."""
