"""The installed command: train, evaluate, sample, export, and mistakes.

    python smoke_command.py PATH/TO/kvae

Runs in the current folder, with a short training: how long the quickstart trains
doesn't matter here.
"""

import csv
import json
import pathlib
import subprocess
import sys

command = sys.argv[1]
out = pathlib.Path("smoke")


def kvae(*arguments: str, status: int = 0) -> str:
    """Runs the command, expects an exit status, returns what it printed."""
    done = subprocess.run([command, *arguments], capture_output=True, text=True)
    text = done.stdout + done.stderr
    assert done.returncode == status, (
        f"kvae {' '.join(arguments)}: {done.returncode}\n{text}"
    )
    assert "Traceback" not in text, text
    return text


for verb in ("quickstart", "train", "evaluate", "sample", "export"):
    assert f"example: kvae {verb}" in kvae(verb, "--help")

print(kvae("quickstart", "--set", "epochs=15", "--out", str(out)))
with (out / "history.csv").open() as file:
    course = [float(row["elbo"]) for row in csv.DictReader(file)]
assert len(course) == 15, course
assert course[-1] > course[0] + 5, f"the ELBO did not rise: {course}"
elbo = json.loads((out / "metrics.json").read_text())["test"]["elbo"]
assert abs(elbo["value"] - course[-1]) < 15, (elbo, course)
for name in ("model.keras", "history.csv", "samples.png", "export/export.json"):
    assert (out / name).stat().st_size > 0, name
assert (out / "export/saved_model/1/saved_model.pb").is_file()
assert (out / "export/litert/decoder.tflite").is_file()

kvae("evaluate", str(out), "--num-samples", "4")
kvae("sample", str(out), "--num", "9", "--out", "nine.png")
assert pathlib.Path("nine.png").read_bytes().startswith(b"\x89PNG")

assert "exists" in kvae("quickstart", "--out", str(out), status=2)
assert "digits" in kvae("train", "digitz", "--out", "other", status=2)
assert not pathlib.Path("other").exists()
print(f"the command line works; test ELBO after 15 epochs {elbo['value']:.2f} nats")
