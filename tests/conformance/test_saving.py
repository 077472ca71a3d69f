"""What a part is made of survives its config and a .keras file."""

import json

import keras
import numpy as np
import small
from conformance.models import ALL, EVERY, compose, randomise

# Runs in a process that has imported kvae and nothing of the tests. (`kvae_tests` does
# not exist there, so nothing but kvae's own registration can find a class.)
LOAD = """
import pathlib, sys
import numpy as np
import keras
import kvae
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.keras")):
    data = dict(np.load(path.with_suffix(".npz")))
    wanted = data.pop("elbo")
    found = keras.saving.load_model(path).elbo(data)
    difference = float(np.abs(found - wanted).max())
    print(f"{path.stem}\\t{difference}", flush=True)
"""


@EVERY
def test_config_round_trip(kind, specimen):
    part = specimen.make()
    config = part.get_config()
    assert config == part.get_config()
    again = type(part).from_config(json.loads(json.dumps(config)))
    assert json.dumps(again.get_config(), sort_keys=True) == json.dumps(
        config, sort_keys=True
    )


def test_every_part_loads_in_a_fresh_process_after_importing_kvae_alone(tmp_path):
    for kind, specimen in ALL:
        case = compose(**{kind: specimen})
        randomise(case.model)
        path = tmp_path / f"{kind}-{specimen}.keras"
        case.model.save(path)
        np.savez(path.with_suffix(".npz"), elbo=case.model.elbo(case.data), **case.data)
    lines = small.fresh_python(LOAD, tmp_path).splitlines()
    found = dict(line.split("\t") for line in lines if "\t" in line)
    assert set(found) == {f"{kind}-{specimen}" for kind, specimen in ALL}
    assert {
        name for name, difference in found.items() if float(difference) > 0
    } == set()
