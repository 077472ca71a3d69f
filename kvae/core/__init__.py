"""What every other package stands on: records, inputs, checks, errors, files."""
