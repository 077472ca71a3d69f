import inspect

import pytest
from conformance.models import ALL, SPECIMENS, TOGETHER

import kvae
from kvae.likelihoods import Likelihood
from kvae.objectives import Objective
from kvae.posteriors import Posterior
from kvae.priors import Prior

KINDS = {
    "posterior": (kvae.posteriors, Posterior),
    "prior": (kvae.priors, Prior),
    "likelihood": (kvae.likelihoods, Likelihood),
    "objective": (kvae.objectives, Objective),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_public_part_has_a_specimen(kind):
    module, base = KINDS[kind]
    public = {
        cls
        for cls in vars(module).values()
        if inspect.isclass(cls)
        and issubclass(cls, base)
        and not inspect.isabstract(cls)
    }
    assert {specimen.cls for specimen in SPECIMENS[kind]} == public


@pytest.mark.parametrize("kind", KINDS)
def test_specimens_can_be_told_apart(kind):
    names = [str(specimen) for specimen in SPECIMENS[kind]]
    assert len(set(names)) == len(names)


def test_models_of_several_parts_hold_every_specimen_once():
    held = [(kind, part) for parts in TOGETHER for kind, part in parts.items()]
    assert len(held) == len(ALL)
    assert all(specimen in held for specimen in ALL)
    assert len(TOGETHER) < 0.5 * len(ALL)
