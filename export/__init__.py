"""Export: one model for servers and phones, proven to compute what Keras computes.

    report = kvae.export.export(vae, "digits", x_test)   # everything, checked
    print(report)                                        # the parity table
    kvae.export.verify("digits").ok                      # again, on any machine

`export` raises `ParityFailed` (its message holds the table), `ExportRefused`,
`FileExistsError`, `WriteError` or `ImportError`, each with one clear sentence first; in
that case nothing is left under the directory's name. `saved_model` and `litert` write
only one artifact.
"""

from kvae.core.atomic import WriteError as WriteError
from kvae.export.checks.report import ExportReport as ExportReport
from kvae.export.checks.verify import verify as verify
from kvae.export.errors import ExportRefused as ExportRefused
from kvae.export.errors import ParityFailed as ParityFailed
from kvae.export.export_model import export as export
from kvae.export.hub import push_to_hub as push_to_hub
from kvae.export.targets import TARGETS as TARGETS
from kvae.export.targets.card import read_card as read_card
from kvae.export.targets.litert import litert as litert
from kvae.export.targets.litert_conversion import PRECISIONS as PRECISIONS
from kvae.export.targets.saved_model import saved_model as saved_model
from kvae.export.targets.target import Target as Target
