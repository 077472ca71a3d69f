"""What all other packages use: records, inputs, checks, errors, and files."""
