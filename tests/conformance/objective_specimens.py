"""One line per public objective."""

import keras
from conformance.deep_parts import ENCODER, POSTERIOR, PRIOR, TRUNK
from conformance.specimen import Specimen

from kvae import objectives as obj
from kvae.schedules import LinearWarmup


def features():
    """Any Keras model on the specimens' data; their shape is (4,)."""
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "tanh")])


SPECIMENS = [
    Specimen(obj.ELBO, {}),
    Specimen(
        obj.ELBO, {"beta": 0.5, "num_samples": 3, "kl": "sampled"}, label="sampled"
    ),
    Specimen(obj.ELBO, {"beta": LinearWarmup(10)}, label="scheduled"),
    Specimen(obj.FreeBits, {"floor": 0.1}),
    Specimen(obj.FreeBits, {"floor": 0.1, "group": "total"}, label="total"),
    Specimen(
        obj.LevelBalance,
        {"steps": 10},
        partners={
            "posterior": POSTERIOR,
            "prior": PRIOR,
            "decoder": TRUNK,
            "encoder": ENCODER,
        },
    ),
    Specimen(obj.Capacity, {"nats": 2.0}),
    *(
        Specimen(obj.IWAE, {"num_samples": 3, "gradient": gradient}, label=gradient)
        for gradient in ("plain", "stl", "dreg")
    ),
    Specimen(
        obj.IWAE, {"num_samples": 2, "groups": 2, "elbo_weight": 0.5}, label="mixed"
    ),
    *(
        Specimen(obj.BetaTC, {"dataset_size": 50, "estimator": name}, label=name)
        for name in ("stratified", "weighted")
    ),
    Specimen(obj.FactorVAE, {"gamma": 2.0}),
    *(Specimen(obj.Adversarial, {"on": on}, label=on) for on in ("pixels", "latents")),
    *(
        Specimen(obj.MMD, {"kernel": name}, label=name)
        for name in ("inverse_multiquadratic", "gaussian")
    ),
    Specimen(obj.Masked, {"masks": "random"}),
    Specimen(obj.Completion, {"masks": "random"}, condition_shape=(8,)),
    Specimen(obj.Perceptual, {"distance": features()}),
    *(
        Specimen(obj.RAE, {"regularizer": name}, deterministic=True, label=str(name))
        for name in ("l2", "gradient_penalty")
    ),
]
