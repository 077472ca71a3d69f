"""An objective."""

import dataclasses

import keras
import tensorflow as tf

from kvae.objectives import Wrapper


@keras.saving.register_keras_serializable(package="throwaway")
class Tame(Wrapper):
    """Adds mean_k sum_d z[d]^4 / 100."""

    def __init__(self, objective=None, **kwargs):
        super().__init__(objective, **kwargs)
        self.monitor, self.monitor_mode = "loss", "min"

    def parts(self, model, inputs, noise, training):
        parts, draw = self.wrapped_parts(model, inputs, noise, training)
        penalty = tf.reduce_mean(tf.reduce_sum(draw.z**4, axis=-1), axis=0) / 100
        return dataclasses.replace(parts, data_term=parts.data_term + penalty)
