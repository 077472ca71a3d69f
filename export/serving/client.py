"""A client of a model server that serves an exported VAE."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, Self

import numpy as np

from kvae.export.columns import SUFFIX
from kvae.export.model_checks import require_serving
from kvae.export.serving.warmup import predict_request

_WHOLE = ("seed", "num")
_LABELS = "condition"  # integers there are labels
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", 1 << 30),
    ("grpc.max_send_message_length", 1 << 30),
]


class ServingError(RuntimeError):
    """A server could not be reached, or refused a request."""


class Client:
    """Calls the endpoints of a served model, over gRPC or REST.

        with Client("localhost:8500", "digits") as client:
            images = client.generate(16, seed=1)["x"]

    Args:
        address: "host:port" for gRPC, or "http://host:port" for REST.
        model: its name on the server.
        version: a version number, or None for the newest.
        timeout: seconds that a request may take.

    Raises:
        ImportError: for gRPC, if tensorflow-serving-api is not installed.
    """

    def __init__(
        self,
        address: str,
        model: str,
        version: int | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.address = address.rstrip("/")
        self.model = model
        self.version = version
        self.timeout = timeout
        self._channel: Any = None
        if not self.address.startswith(("http://", "https://")):
            require_serving()
            import grpc
            from tensorflow_serving.apis import prediction_service_pb2_grpc

            self._channel = grpc.insecure_channel(self.address, _CHANNEL_OPTIONS)
            self._stub = prediction_service_pb2_grpc.PredictionServiceStub(
                self._channel
            )

    def decode(self, z: Any, **inputs: Any) -> dict[str, np.ndarray]:
        """Decodes latents (B, D): "mean" and the parameters of the likelihood."""
        return self.call("decode", {"z": z, **inputs})

    def generate(
        self, num: int, seed: int = 0, temperature: float = 1.0, **inputs: Any
    ) -> dict[str, np.ndarray]:
        """Draws `num` images "x" and their latents "z"; equal seeds give equal images.

        `seed` means the same as in `kvae.VAE.sample`.
        """
        given = {"num": num, "seed": [seed, 0], "temperature": temperature}
        return self.call("generate", {**given, **inputs})

    def encode(self, x: Any, **inputs: Any) -> dict[str, np.ndarray]:
        """Infers the parameters of q(z|x) for examples (B, *data_shape)."""
        return self.call("encode", {"x": x, **inputs})

    def reconstruct(self, x: Any, **inputs: Any) -> dict[str, np.ndarray]:
        """Reconstructs examples (B, *data_shape): "x"."""
        return self.call("reconstruct", {"x": x, **inputs})

    def score(self, x: Any, seed: int = 0, **inputs: Any) -> dict[str, np.ndarray]:
        """Scores examples: "elbo", "rate" and "distortion", (B,) nats each."""
        return self.call("score", {"x": x, "seed": [seed, 0], **inputs})

    def detect(self, x: Any, **inputs: Any) -> dict[str, np.ndarray]:
        """Finds anomalies: "score", "p_value", "is_anomaly" (B,), and "attribution"."""
        return self.call("detect", {"x": x, **inputs})

    def complete(
        self, x: Any, mask: Any, seed: int = 0, **inputs: Any
    ) -> dict[str, np.ndarray]:
        """Fills in entries where the mask is 0, given the rest: "x", and its "z".

        `x` and `mask` are (B, *data_shape), and the mask is 1 where x is visible. The
        same seed gives the same completions, the first ones of `kvae.VAE.complete`.
        """
        return self.call(
            "complete", {"x": x, "mask": mask, "seed": [seed, 0], **inputs}
        )

    def call(self, signature: str, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
        """Calls any signature.

        Args:
            signature: its name.
            inputs: arrays by name; floats are sent as float32. Those of columns of a
                table are sent as float64, with NaN where a number is missing, or as
                text, with "" where a level is.

        Returns:
            outputs: arrays by name.

        Raises:
            TypeError: if a seed or num is not an integer.
            ValueError: if a seed or num exceeds 32 bits.
            ServingError: if the server is not running, takes too long, or refuses.
        """
        convert = _column if signature.endswith(SUFFIX) else _array
        arrays = {key: convert(key, value) for key, value in inputs.items()}
        if self._channel is None:
            return self._over_rest(signature, arrays)
        return self._over_grpc(signature, arrays)

    def close(self) -> None:
        """Closes the connection."""
        if self._channel is not None:
            self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _over_grpc(
        self, signature: str, arrays: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        import grpc
        import tensorflow as tf

        request = predict_request(self.model, signature, arrays)
        if self.version is not None:
            request.model_spec.version.value = self.version
        try:
            answer = self._stub.Predict(request, timeout=self.timeout)
        except grpc.RpcError as error:
            raise self._error(
                signature, f"{error.code().name}: {error.details()}"
            ) from error
        return {key: tf.make_ndarray(value) for key, value in answer.outputs.items()}

    def _over_rest(
        self, signature: str, arrays: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        version = "" if self.version is None else f"/versions/{self.version}"
        url = f"{self.address}/v1/models/{self.model}{version}:predict"
        # Columns, not rows, because num, seed and temperature have no row per example.
        columns = {key: value.tolist() for key, value in arrays.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns})
        request = urllib.request.Request(
            url, body.encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                content = json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace").strip()
            raise self._error(signature, f"HTTP {error.code}: {text[:500]}") from error
        except (OSError, ValueError) as error:
            raise self._error(signature, str(error)) from error
        outputs = content.get("outputs") if isinstance(content, dict) else None
        if isinstance(outputs, list):  # the server omits the name of a single output
            outputs = {"x" if signature == "reconstruct" else "output": outputs}
        if not isinstance(outputs, dict):
            raise self._error(signature, "the answer has no outputs")
        return {key: np.asarray(value, np.float32) for key, value in outputs.items()}

    def _error(self, signature: str, why: str) -> ServingError:
        return ServingError(
            f"{signature} of model {self.model!r} at {self.address} failed: {why}"
        )


def _column(name: str, value: Any) -> np.ndarray:
    if name in (*_WHOLE, _LABELS):
        return _array(name, value)
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind in "biuf" else array.astype(str)


def _array(name: str, value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind == "f" or name in ("x", "z", "mask", "temperature"):
        array = array.astype(np.float32)
    labels = name == _LABELS and array.dtype.kind in "iu"
    if name not in _WHOLE and not labels:
        return array
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be an integer; received dtype {array.dtype}.")
    small = array.astype(np.int32)
    if not np.array_equal(small, array):  # it would wrap around to other noise
        raise ValueError(f"{name} must fit into 32 bits; received {array.tolist()}.")
    return small
