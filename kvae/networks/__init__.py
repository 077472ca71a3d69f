"""Encoder and decoder bodies, and the layers they are made of."""

from kvae.networks.affine_coupling import AffineCoupling as AffineCoupling
from kvae.networks.conv import conv_decoder as conv_decoder
from kvae.networks.conv import conv_encoder as conv_encoder
from kvae.networks.crop import Crop as Crop
from kvae.networks.depth_to_space import DepthToSpace as DepthToSpace
from kvae.networks.icnr import ICNR as ICNR
from kvae.networks.made import MADE as MADE
from kvae.networks.masked_dense import MaskedDense as MaskedDense
from kvae.networks.mlp import mlp as mlp
from kvae.networks.normal_network import NormalNetwork as NormalNetwork
from kvae.networks.one_hot import OneHot as OneHot
from kvae.networks.patch_discriminator import patch_discriminator as patch_discriminator
from kvae.networks.projection import Projection as Projection
from kvae.networks.residual import residual_decoder as residual_decoder
from kvae.networks.residual import residual_encoder as residual_encoder
from kvae.networks.self_attention import SelfAttention as SelfAttention
from kvae.networks.series import series_decoder as series_decoder
from kvae.networks.series import series_encoder as series_encoder
from kvae.networks.standardize import Standardize as Standardize
from kvae.networks.take_first import TakeFirst as TakeFirst
from kvae.networks.unflatten import Unflatten as Unflatten
from kvae.networks.visible import masked_encoder as masked_encoder
from kvae.networks.visible import visible_decoder as visible_decoder
from kvae.networks.visible import visible_encoder as visible_encoder
from kvae.networks.visible import visible_network as visible_network
