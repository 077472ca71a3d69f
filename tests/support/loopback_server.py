"""TF Serving's gRPC and REST protocols over one SavedModel, on the loopback interface.

    python tests/support/loopback_server.py models/digits --name digits

prints the address once it answers. It serves the newest version that it finds when it
starts. It isn't a model server: it neither batches nor polls for versions. Like one
it needs nothing but the SavedModel, in particular neither kvae nor keras.
"""

from __future__ import annotations

import argparse
import http.server
import json
import threading
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


class Loopback:
    """Both protocols, in this process.

    Args:
        base: the servable's directory.
        name: the name that clients know it by.
    """

    def __init__(self, base: Path, name: str = "digits") -> None:
        newest = max(int(path.name) for path in base.iterdir() if path.name.isdigit())
        loaded = tf.saved_model.load(str(base / str(newest)))

        def run(signature: str, given: dict[str, Any]) -> dict[str, np.ndarray]:
            tensors = {key: tf.constant(value) for key, value in given.items()}
            outputs = loaded.signatures[signature](**tensors)
            return {key: value.numpy() for key, value in outputs.items()}

        class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
            def Predict(self, request: Any, context: Any) -> Any:
                spec = request.model_spec
                wanted = spec.version.value if spec.HasField("version") else newest
                if spec.name != name or wanted != newest:
                    missing = f"Servable not found for request: {spec.name} {wanted}"
                    context.abort(grpc.StatusCode.NOT_FOUND, missing)
                given = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
                try:
                    outputs = run(spec.signature_name, given)
                except tf.errors.InvalidArgumentError as error:
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
                answer = predict_pb2.PredictResponse()
                answer.model_spec.name = name
                answer.model_spec.version.value = newest
                for key, value in outputs.items():
                    answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
                return answer

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(length))
                given = {
                    k: np.asarray(v, np.int32 if k in ("num", "seed") else np.float32)
                    for k, v in body["inputs"].items()
                }
                try:
                    outputs = run(body["signature_name"], given)
                    lists = {k: v.tolist() for k, v in outputs.items()}
                    only = next(iter(lists.values())) if len(lists) == 1 else lists
                    status, content = 200, {"outputs": only}
                except tf.errors.InvalidArgumentError as error:
                    status, content = 400, {"error": error.message}
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, *args: Any) -> None:
                pass

        self.grpc = grpc.server(futures.ThreadPoolExecutor(8))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            Service(), self.grpc
        )
        port = self.grpc.add_insecure_port("127.0.0.1:0")
        self.grpc.start()
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.addresses = {
            "grpc": f"127.0.0.1:{port}",
            "rest": f"http://127.0.0.1:{self.http.server_address[1]}",
        }

    def stop(self) -> None:
        """Stops answering."""
        self.grpc.stop(None).wait()
        self.http.shutdown()
        self.http.server_close()


def main() -> None:
    """Serves until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("--name", default="digits")
    arguments = parser.parse_args()
    server = Loopback(arguments.base, arguments.name)
    print(server.addresses["grpc"], flush=True)
    server.grpc.wait_for_termination()


if __name__ == "__main__":
    main()
