"""The checks before and after an export is written."""
