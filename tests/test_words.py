"""House words: American spelling as in Keras, and no phrase that reads as translated.

The style sheet in CONTRIBUTING.md says how to write; here is what a pattern can find.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATTERNS = (
    "*.md *.toml *.cff *.yaml .*.yaml run .ci/* docs/**/*.md benchmarks/**/*.md "
    "**/*.py training/**/*.toml export/explore/page/*"
).split()
FILES = sorted(
    {
        file
        for pattern in PATTERNS
        for file in ROOT.glob(pattern)
        if file.is_file()
        and file != Path(__file__)
        and not {".venv", "build"} & set(file.relative_to(ROOT).parts)
        and not any(parent.is_symlink() for parent in file.parents)
    }
)

# A space also matches a break between lines of prose, of a comment or of a message.
GAP = r"(?:\s+#\s+|[\"']\s+[rf]?[\"']|\s)+"
COMPARED = r"(?:longer|more|less|fewer|better|worse|larger|smaller|different|other)\b"

PHRASES = {
    r"(?:go|goes|going|gone|went) on": "resume, continue",
    rf"(?<!there\s)(?:is|are|was|were|be) no (?!{COMPARED})\w+": "is not a",
    r"(?:lie|lies|lay|lying) in": "is in",
    r"(?:is|are|was|were) none of": "is not one of",
    r"anew": "again",
    r"(?:hear|hears|heard|hearing) of": "know about, be called with",
    r"wants? to hear": "expects",
    r"mend(?:s|ed|ing)?": "fix, repair",
    r"(?:leave|leaves|left|leaving) out of account": "ignore",
    r"behind (?:one's|the user's) back": "silently",
    r"per cent": "percent",
    r"whilst|amongst|learnt|spelt|towards": "while, among, learned, spelled, toward",
}
SPELLINGS = {
    r"licence": "license",
    r"grey": "gray",
    r"colour": "color",
    r"behaviour": "behavior",
    r"neighbour": "neighbor",
    r"favour": "favor",
    r"artefact": "artifact",
    r"judgement": "judgment",
    r"cent(?:re[sd]?|ring)(?![a-z])": "center",
    r"(?:label|model|level|channel|cancel|travel|signal)l(?:ed|ing)(?![a-z])": (
        "one l"
    ),
    r"(?:anal|paral)l?ys(?:e[sd]?|ing)(?![a-z])": "analyze",
    r"catalogue": "catalog",
    r"(?:defen|offen)ce": "defense",
    r"(?<![a-z])(?:kilo|centi|milli)?metres?(?![a-z])": "meter",
    r"fulfil(?:s|ment)?(?![a-z])": "fulfill",
    # All words in -ise but those that are American too.
    r"(?<![a-z])(?!(?:[a-z]*(?:no|ra|w|exper|v)|prom|comprom|exerc|prec|adv|ar|r|conc|"
    r"prem|surpr|(?:com)?pr|cru|enterpr|disgu|po|pla|ba|th|h|m)is(?:e|i))"
    r"[a-z]+is(?:e[drs]?|es|ers|ing|ations?)(?![a-z])": "-ize",
}
RULES = [
    *(
        (re.compile(rf"\b(?:{pattern.replace(' ', GAP)})\b"), advice)
        for pattern, advice in PHRASES.items()
    ),
    *((re.compile(pattern), advice) for pattern, advice in SPELLINGS.items()),
]


def objections(text: str) -> list[str]:
    """What the rules find in a text, each with its line and what to write."""
    text = text.lower()
    found = sorted(
        (match.start(), match.group(), advice)
        for rule, advice in RULES
        for match in rule.finditer(text)
    )
    return [
        f"{text.count(chr(10), 0, start) + 1}: '{' '.join(words.split())}'; write: {advice}"
        for start, words, advice in found
    ]


def rows_of_the_style_sheet() -> list[tuple[str, str]]:
    """The lines of CONTRIBUTING.md's tables: what not to write, what to write."""
    lines = (ROOT / "CONTRIBUTING.md").read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return [(before, after) for before, after in rows if before != "Not"]


def test_words_are_those_of_the_house() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{objection}"
        for file in FILES
        for objection in objections(
            "\n".join(
                "" if file.name == "CONTRIBUTING.md" and line.startswith("| ") else line
                for line in file.read_text().splitlines()
            )
        )
    ]
    assert not found, "see CONTRIBUTING.md, Words:\n" + "\n".join(found)


def test_the_rules_find_what_the_style_sheet_shows() -> None:
    rows = rows_of_the_style_sheet()
    assert not [after for _, after in rows if objections(after)]
    patterned = [before for before, _ in rows if objections(before)]
    assert len(patterned) >= 10
    broken = objections('"x is "\n    "no array"\n# it goes\n# on')
    assert [line.partition(":")[0] for line in broken] == ["1", "3"]
    assert objections("standardised amortisation of the denoiser, initialise,")[2:]
    for fine in ("there is no run", "is no longer", "noised, raises, otherwise, wise"):
        assert not objections(fine)
