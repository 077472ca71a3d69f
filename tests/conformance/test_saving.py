"""What a part is made of survives its config and a .keras file."""

import json

import keras
import numpy as np
import pytest
from conformance.models import EVERY, TOGETHER, in_one, name_of
from support import small

from kvae.model import endpoints

# Runs in a process that has imported kvae and nothing of the tests, so that nothing but
# kvae's own registration can find a class.
LOAD = """
import pathlib, sys
import keras
import numpy as np
import kvae
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.keras")):
    data = dict(np.load(path.with_suffix(".npz")))
    wanted = {k: data.pop(k) for k in ("rate", "distortion", "mean", "drawn")}
    model = keras.saving.load_model(path)
    data = {name: keras.ops.convert_to_tensor(v) for name, v in data.items()}
    inputs = kvae.core.inputs.Inputs(**data)
    found = kvae.model.endpoints.score(model, inputs, [3, 0])
    found["mean"] = kvae.model.endpoints.reconstruct(model, inputs)["x"]
    found["drawn"] = kvae.model.endpoints.generate(
        model, len(inputs.x), [3, 0], condition=inputs.condition
    )["x"]
    same = [np.array_equal(found[k], wanted[k], equal_nan=True) for k in wanted]
    print(f"{path.stem}\\t{all(same)}", flush=True)
"""


@EVERY
def test_config_round_trip_and_registration(kind, specimen):
    part = specimen.make()
    name = keras.saving.get_registered_name(type(part))
    assert keras.saving.get_registered_object(name) is type(part)
    config = part.get_config()
    assert config == part.get_config()
    again = type(part).from_config(json.loads(json.dumps(config)))
    assert json.dumps(again.get_config(), sort_keys=True) == json.dumps(
        config, sort_keys=True
    )


@pytest.mark.slow
def test_every_part_loads_in_a_fresh_process_after_importing_kvae_alone(tmp_path):
    for number, parts in enumerate(TOGETHER):
        case = in_one(parts)
        path = tmp_path / f"{number}.keras"
        case.model.save(path)
        wanted = endpoints.score(case.model, case.inputs, [3, 0])
        del wanted["elbo"]
        wanted["mean"] = endpoints.reconstruct(case.model, case.inputs)["x"]
        wanted["drawn"] = endpoints.generate(
            case.model, 7, [3, 0], condition=case.inputs.condition
        )["x"]
        assert np.isfinite(wanted["distortion"]).all()
        np.savez(path.with_suffix(".npz"), **wanted, **case.data)
    lines = small.fresh_python(LOAD, tmp_path).splitlines()
    found = dict(line.split("\t") for line in lines if "\t" in line)
    named = {name_of(parts): found.get(str(i)) for i, parts in enumerate(TOGETHER)}
    assert named == dict.fromkeys(map(name_of, TOGETHER), "True")
