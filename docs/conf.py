"""Settings of Sphinx for the site; `build.py` writes the folder that it reads."""

project = "rl-core"
author = "the authors of rl-core"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "rl-core"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
html_copy_source = False
html_show_sphinx = False
suppress_warnings = ["myst.header"]  # pages of packages are included below headings of their own
