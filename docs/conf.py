"""How Sphinx makes the site of this manual: `make docs`, at the top of the repository."""

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from mosha import __version__
from tests.docs_site import FIRST, connect

project = "mosha"
version = release = __version__
language = "en"
root_doc = FIRST

extensions = ["myst_parser"]
myst_heading_anchors = 4  # every heading can be linked to, by the anchor that GitHub makes
nitpicky = True

html_theme = "furo"
html_static_path = ["theme"]
html_css_files = ["manual.css"]
html_title = f"mosha {release}"
html_use_index = False
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_last_updated_fmt = None  # the same sources make the same site


def setup(app: Sphinx) -> None:
    """Tell Sphinx what is ours: the navigation, and examples that Pygments has no colours for."""
    for kind in ("cltab", "hactl", "clstat", "fstab", "mermaid"):
        app.add_lexer(kind, TextLexer)
    connect(app)
