"""Prints pip constraints that pin every requirement to its oldest allowed version.

    python oldest.py pyproject.toml > constraints.txt

Only for requirements of the form name>=version, the one form that pyproject.toml has.
"""

import pathlib
import re
import sys
import tomllib

project = tomllib.loads(pathlib.Path(sys.argv[1]).read_text())["project"]
extras = project["optional-dependencies"]
requirements = [
    *project["dependencies"],
    *(r for extra in ("train", "mobile", "serving", "parquet") for r in extras[extra]),
]
for requirement in requirements:
    found = re.fullmatch(r"([\w-]+)(?:\[[\w,-]+\])?>=([\d.]+)", requirement)
    assert found, f"{requirement} is not of the form name>=version"
    print(f"{found[1]}=={found[2]}")
