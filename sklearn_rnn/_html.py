"""How notebooks show estimators: descriptions of parameters, and links."""

import os
import re
from typing import Any, NamedTuple

# Where the API reference stands: a URL, or the folder that pdoc wrote.
VARIABLE = "SKLEARN_RNN_DOCS"
# scikit-learn describes parameters inside links alone, so they get this one, which is
# taken out again.
NO_PAGE = "about:blank"
LINK = re.compile(rf'(\s+(?:rel|target)="\w+")*\s+href="{NO_PAGE}[^"]*"')


class Block(NamedTuple):
    """What scikit-learn's diagram shows of one estimator, by its names."""

    estimators: Any
    names: str
    name_details: str
    name_caption: str | None
    kind: str = "single"
    doc_link_label: str | None = None
    dash_wrapped: bool = True


class DescribedParameters:
    """Mixin: parameters and attributes are described in HTML, with links or without.

    No page on the web has the reference. Links go where ``SKLEARN_RNN_DOCS`` says that
    it is, and there are none without it.
    """

    def _get_doc_link(self):
        place = os.environ.get(VARIABLE, "")
        if not place or type(self).__module__.split(".")[0] != "sklearn_rnn":
            return ""  # classes of users have no page
        return f"{place.rstrip('/')}/sklearn_rnn.html#{type(self).__name__}"

    # Estimators get the overridden methods from scikit-learn, beside this class.
    def _get_params_html(self, *args, **kwargs):
        table = super()._get_params_html(*args, **kwargs)  # type: ignore[misc]
        return _describe(table)

    def _get_fitted_attr_html(self, *args, **kwargs):
        table = super()._get_fitted_attr_html(*args, **kwargs)  # type: ignore[misc]
        return _describe(table)


def _describe(table):
    """Let a table of scikit-learn describe its rows, whether there are links or not."""
    write, link = table._html_repr, getattr(table, "doc_link", None)
    if link == "":
        table.doc_link = NO_PAGE
        table._html_repr = lambda: LINK.sub("", write())
    elif link:  # it has an anchor, and scikit-learn begins another
        table._html_repr = lambda: write().replace("#:~:text=", ":~:text=")
    return table
