"""Warm-up requests and sample configuration for a TF Serving model server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kvae.export.model_checks import require_serving

_MODELS = """\
# tensorflow_model_server --model_config_file=models.config
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ latest {{ num_versions: 2 }} }}
  }}
}}
"""
_BATCHING = """\
# tensorflow_model_server --enable_batching --batching_parameters_file=...
# Batching joins requests along the first axis of every input. generate and score have
# inputs without that axis (num, seed, temperature): serve those without batching.
max_batch_size { value: 64 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 2 }
"""
_MONITORING = """\
# tensorflow_model_server --monitoring_config_file=monitoring.config
prometheus_config { enable: true, path: "/monitoring/prometheus/metrics" }
"""


def write_server_files(directory: Path, name: str) -> None:
    """Writes examples of the configuration files that a model server reads.

    Args:
        directory: to write to; created if missing.
        name: of the model, as clients will call it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = {
        "models.config": _MODELS.format(name=name),
        "batching_parameters.txt": _BATCHING,
        "monitoring.config": _MONITORING,
    }
    for file, text in files.items():
        (directory / file).write_text(text, "utf-8")


def write_warmup(
    version: Path, name: str, requests: dict[str, dict[str, np.ndarray]]
) -> Path:
    """Adds requests that a server replays before it serves a version.

    Args:
        version: directory of the SavedModel.
        name: of the model.
        requests: inputs by name for each signature.

    Returns:
        path: of the record file.

    Raises:
        ImportError: if tensorflow-serving-api is not installed.
    """
    require_serving()
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    path = version / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            request = predict_request(name, signature, inputs)
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())
    return path


def predict_request(name: str, signature: str, inputs: dict[str, Any]) -> Any:
    """Makes the official request message for one signature."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request
