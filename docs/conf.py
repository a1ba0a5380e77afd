"""How docs/ becomes a site: `make site` puts it into build/site.

The pages are plain Markdown, which a code forge shows as it is. What Sphinx has to be told
beyond that is made here of what the pages say anyway: the lists in `index.md` are the tables of
contents, and a `<picture>` is two images, which follow the reader's switch.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

project = "partitioned-buffer"
html_title = project
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False

extensions = ["myst_parser"]
myst_heading_anchors = 6
myst_enable_extensions = ["attrs_inline", "html_image"]
nitpicky = True
suppress_warnings = ["myst.header"]  # figures that are measured begin at the third level

_LISTED = re.compile(r"^(?:- |\| )\[([^\]]+)\]\(([\w./-]+)\.md\)", re.MULTILINE)
_PICTURE = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="(?P<dark>[^"]+)">\s*'
    r'<img alt="(?P<alt>[^"]+)" src="(?P<light>[^"]+)"[^>]*>\s*</picture>'
)
_COMMENT = re.compile(r"^<!--.*?-->$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#]*)\)")


def _contents(section: str) -> str:
    """Return *section* of an index, and after it the table of contents that its links make."""
    pages = "\n".join(f"{title} <{page}>" for title, page in _LISTED.findall(section))
    if not pages:
        return section
    caption = section.partition("\n")[0].strip("# ")
    return f"{section}\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n\n"


def _read(app: Sphinx, page: str, content: list[str]) -> None:
    here = Path(app.srcdir, page).parent

    def without_folders(link: re.Match[str]) -> str:  # of the repository: a site has none
        return link[1] if (here / link[2]).is_dir() else link[0]

    # Code that makes a page, or is run out of sight; for warnings, lines keep their numbers.
    text = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), content[0])
    text = _LINK.sub(without_folders, text)
    text = _PICTURE.sub(
        r"![\g<alt>](\g<dark>){.only-dark}\n![\g<alt>](\g<light>){.only-light}", text
    )
    if page.rpartition("/")[2] == "index":
        text = "".join(map(_contents, re.split(r"^(?=## )", text, flags=re.MULTILINE)))
    content[0] = text


def setup(app: Sphinx) -> None:
    app.connect("source-read", _read)
