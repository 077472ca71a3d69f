"""What `fit` needs beside the model: arguments, replicas, execution, metrics."""
