"""Sphinx: `make docs` builds these pages, and fails on any warning."""

project = "supreme-dask"
author = "supreme-dask developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "changes"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "supreme-dask"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
nitpicky = False  # distributed publishes no inventory of the names that its annotations use
