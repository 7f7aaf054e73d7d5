"""READMEs that cost more than they look: by name, 100,000 characters each."""

from repositories.models.repositories import README_MAX_LENGTH


def _filled(piece: str, begin: str = "", end: str = "") -> str:
    room = README_MAX_LENGTH - len(begin) - len(end)
    return begin + (piece * (room // len(piece) + 1))[:room] + end


PIECES = {
    "brackets": "[",
    "closed-brackets": "[]",
    "images": "![",
    "links": "[a](b)",
    "open-links": "[a](",
    "nested-links": "[a](<b",
    "emphasis": "*a ",
    "strong-runs": "a**b",
    "mixed-emphasis": "*a_",
    "underscores": "_",
    "asterisks": "*",
    "backticks": "`",
    "growing-backticks": "` `` ``` ",
    "tildes": "~~a",
    "quotes": "> ",
    "quote-lines": ">" * 50 + "a\n",
    "lists": "- ",
    "deep-lists": "".join("  " * depth + "- a\n" for depth in range(40)),
    "numbers": "1. a\n",
    "table-row": "|a",
    "headings": "# a\n",
    "same-anchors": "# a\n# a-1\n",
    "reference-definitions": "[a]: b\n",
    "references": "[a] ",
    "footnotes": "[^a]",
    "footnote-definitions": "[^a]: b\n\n",
    "entities": "&amp;",
    "numeric-entities": "&#35;",
    "half-entities": "&a",
    "escapes": "\\",
    "hard-breaks": "a  \n",
    "urls": "http://a.b ",
    "bare-domains": "a.com ",
    "mail": "a@b.c",
    "dots": "a.",
    "schemes": "http:",
    "slashes": "//a",
    "emoji": ":+1:",
    "colons": ":a",
    "alerts": "> [!NOTE]\n> a\n\n",
    "tasks": "- [x] a\n",
    "tag-begin": "<",
    "tag-open": "<a ",
    "tag-attribute": "<a href='",
    "tags": "<b>",
    "tag-ends": "</",
    "inline-images": "<img src=https://a.b alt=",
    "comments": "<!-- -->",
    "open-comments": "<!--",
    "processing": "<?",
    "declarations": "<!A",
    "cdata": "<![CDATA[",
    "details": "<details>\n\n",
    "html-blocks": "<div>\n",
    "carriage-returns": "\r",
    "tabs": "\t",
    "nul": "\0",
    "long-word": "a",
    "fences": "```\n",
    "zero-width": "\u200b",
    "combining": "a\u0301",
    "surrogates": "\ud800",
    "right-to-left": "\u202e\u05d0",
}
READMES = {name: _filled(piece) for name, piece in PIECES.items()}
READMES |= {
    "attribute-names": _filled("a", "<div>\n<img ", ">\n</div>"),
    "attribute-spaces": _filled(" ", "<div>\n<img a", ">\n</div>"),
    "attribute-values": _filled("a=b ", "<div>\n<img ", ">\n</div>"),
    "attribute-equals": _filled("a =", "<div>\n<a ", ">b</a></div>"),
    "tag-name": _filled("a", "<div>\n<", ">\n</div>"),
    "inline-attributes": _filled("a ", "x <img ", ">"),
    "table-columns": _filled("|a", end="\n")[: README_MAX_LENGTH // 3]
    + "\n"
    + "|-" * (README_MAX_LENGTH // 8)
    + "|\n",
    "table-cells": "|a|b|c|\n|-|-|-|\n" + "|\n" * 40_000,
    "wide-table": "|a" * 300 + "|\n" + "|-" * 300 + "|\n" + "a\n" * 40_000,
    "long-definition": _filled("a", "[", "]: b"),
    "unclosed-fence": _filled("a\n", "```python\n"),
    "unclosed-math": _filled("$", ""),
    "heading-tags": _filled("<", "# ", ""),
}
LEXERS = (
    *("bash", "c", "cpp", "console", "csharp", "css", "diff", "docker", "go"),
    *("html", "ini", "java", "javascript", "json", "kotlin", "lua", "make"),
    *("markdown", "nginx", "perl", "php", "powershell", "python", "ruby", "rust"),
    *("sql", "swift", "toml", "typescript", "xml", "yaml"),
)
CODE = {
    "quotes": '"',
    "half-strings": '"\\',
    "parentheses": "(",
    "braces": "{",
    "comments": "/*",
    "spaces": " ",
    "dollars": "${",
    "angles": "<a ",
    "words": "a ",
    "commas": "a,",
}
READMES |= {
    f"code-{lexer}-{name}": f"```{lexer}\n{piece * (9_900 // len(piece))}\n```\n"
    for place, lexer in enumerate(LEXERS)
    for name, piece in list(CODE.items())[place % 4 :: 4]
}
