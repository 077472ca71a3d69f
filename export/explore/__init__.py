"""A page in the browser for an exported model: `kvae explore DIR`."""

from kvae.export.explore.explorer import Explorer as Explorer
from kvae.export.explore.explorer import PackagesMissing as PackagesMissing
from kvae.export.explore.explorer import open_export as open_export
