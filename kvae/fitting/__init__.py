"""What `fit` needs besides the model: arguments, replicas, execution, metrics."""
