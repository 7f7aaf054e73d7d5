"""Checks the English of templates, docstrings and messages.

docs/development/style.md says how sentences are written. This program refuses the
faults that single words show; `make check` runs it. Its rules are the tables below.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# What is checked without arguments; these are pathspecs of Git.
PATHS = (
    "*.py",
    "templates",
    "*.md",
    ":!docs/development/style.md",  # its tables have the faults
    ":!docs/decisions",  # as they were written
    ":!tests",
    ":!*/migrations/*",
    ":!tools/check_english.py",
)
# A pattern of words, and what to write instead.
WORDS = {
    r"whoever|the ones? who": "the person: the pusher, people who …, you",
    r"somebody": "someone, or the role: a user, an owner",
    r"nobody": "no one, or say what happens",
    r"everybody": "everyone, or anyone",
    r"tells?|told": "report, record, notify, send, distinguish",
    r"knows|heeds?|(?:to|has|was|been) heard?": "has, stores, receives, checks",
    r"vouch(?:es|ed)?|vouching": "verify",
    r"nudges?|nudged": "wake-up, dispatch",
    r"remarks?": "deployment status, note",
    r"ladders?": "retry schedule",
    r"condemn(?:s|ed)?|reprieves?d?": "marked for deletion, unmarked",
    r"anew": "again",
    r"besides": "also",
    r"meanwhile": "(leave it out), or in the meantime",
    r"lest": "to avoid, so that … not",
    r"as long as": "while",
    r"so that none|so that nothing": "so that no …",
    r"(?<!there )(?-i:is|are|was|were) (?-i:none)": "is not one, is not a …",
    r"stands? in|lies? at": "is in, is at",
    r"goes on|go on|going on": "continue, in progress",
    r"lately": "recently",
    r"quarter of an? \w+|half an? (?:minute|hour)": "a number and a unit: 15 seconds",
    r"br(?:ing|ings|ought) (?:\S+ )?back": "restore",
    r"wr(?:ites?|itten) (?:\S+ )?down": "record, store",
    r"for good": "permanently",
    r"by now": "(leave it out), or already",
    r"e-mails?": "email",
    r"(?:lower|upper)-case": "lowercase, uppercase",
    r"licence|colou?rs?(?<=ours|lour)|behaviour|neighbours?|favourite|grey|centre": (
        "American spelling"
    ),
    r"\w*(?:authoris|organis|normalis|serialis|initialis|recognis|minimis)e[sd]?": (
        "American spelling: -ize"
    ),
}
# How the first line of a docstring does not begin.
OPENINGS = r"(?:What|Who|Whose|Whether|Which|That|Those|Where|Why|When)\b"
# A function's begins with a verb in the imperative; ruff's D401 finds other forms.
NO_VERBS = (
    r"(?:Say|Tell|The|An?|This|These|It|Its|One|Of|If|Is|All|Every|Each|No|How|As)\b"
)


PATTERNS = {
    re.compile(rf"(?i)(?<![\w/.-])(?:{pattern})(?![\w-])"): better
    for pattern, better in WORDS.items()
}


def find_faults(text: str) -> Iterator[tuple[int, str]]:
    """Yield the offset and a description of each fault in a text."""
    for pattern, better in PATTERNS.items():
        for match in pattern.finditer(text):
            yield match.start(), f"'{match[0]}': write {better}"


def blank(match: re.Match[str]) -> str:
    """Return a match as white space of the same lines."""
    return re.sub(r"[^\n]", " ", match[0])


def prose_of_markdown(text: str) -> str:
    return re.sub(r"(?ms)^```.*?^```|`[^`]*`|\]\([^)]*\)|<!--.*?-->", blank, text)


def prose_of_template(text: str) -> str:
    """Return the words of a template, without comments, variables and code."""
    text = re.sub(r"(?s){#.*?#}|{% comment.*?endcomment %}", blank, text)
    text = re.sub(r"(?s){{.*?}}|<(code|pre|script|style)\b.*?</\1>", blank, text)
    # Texts in quotes stay: labels, titles, arguments of components.
    tag = r"""(?s)(?<={%)(?:[^"'%]|%(?!}))+|(?<=["'])(?:[^"'%]|%(?!}))+(?=%})"""
    return re.sub(r'(?s)\b[\w:-]+="[^" ]*"', blank, re.sub(tag, blank, text))


def faults_in_python(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and a description of each fault in docstrings and messages."""
    tree = ast.parse(text)
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = (ast.get_docstring(node) or "").split("\n")[0]
            is_function = isinstance(node, ast.FunctionDef) and not any(
                "property" in ast.unparse(each) for each in node.decorator_list
            )
            if re.match(f"{OPENINGS}|{NO_VERBS}" if is_function else OPENINGS, first):
                line = node.body[0].lineno
                yield line, f"a docstring does not begin '{first[:30]}…'"
        elif isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in parts:
            words = words_of(node)
            for start, fault in find_faults(words) if " " in words else ():
                yield node.lineno + words.count("\n", 0, start), fault


def words_of(node: ast.JoinedStr | ast.Constant) -> str:
    """Return the text of a string or f-string without its names and code."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [part.value if isinstance(part, ast.Constant) else " _ " for part in parts]
    words = "".join(text for text in texts if isinstance(text, str))
    return re.sub(r"`[^`]*`|{[^{}]*}", blank, words)


def faults_in(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and a description of each fault in a file."""
    text = path.read_text()
    if path.suffix == ".py":
        yield from faults_in_python(text)
        return
    clean = prose_of_markdown if path.suffix == ".md" else prose_of_template
    for start, fault in find_faults(clean(text)):
        yield text.count("\n", 0, start) + 1, fault


def main() -> int:
    names = (
        sys.argv[1:]
        or subprocess.run(
            ["git", "ls-files", *PATHS],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
    )
    found = 0
    for name in names:
        for line, fault in sorted(faults_in(Path(name))):
            print(f"{name}:{line}: {fault}")
            found += 1
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
