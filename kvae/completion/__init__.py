"""Completions of examples of which a part is visible."""

from kvae.completion.candidates import candidates as candidates
from kvae.completion.candidates import fill_hidden as fill_hidden
from kvae.completion.candidates import pick as pick
from kvae.completion.candidates import resample as resample
from kvae.completion.complete import Completions as Completions
from kvae.completion.complete import complete as complete
from kvae.completion.inputs import check_possible as check_possible
from kvae.completion.inputs import map_candidates as map_candidates
from kvae.completion.inputs import masked_inputs as masked_inputs
