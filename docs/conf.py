"""The configuration of the documentation site, which ``just docs`` builds."""

import os
from urllib.parse import urlsplit

import django
from django.conf import settings

import django_asgi_lifespan

settings.configure(INSTALLED_APPS=["django_asgi_lifespan"])
django.setup()  # for the modules that autodoc imports

project = "django-asgi-lifespan"
author = "django-asgi-lifespan contributors"
copyright = author  # noqa: A001 - the name that Sphinx reads
version = release = django_asgi_lifespan.__version__

extensions = ["myst_parser", "notfound.extension", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
exclude_patterns = ["files"]
highlight_language = "none"
smartquotes = False  # they turn the two dashes of an option into one

myst_heading_anchors = 4
myst_links_external_new_tab = False

napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"

# The home of the site, which only the links of the page for missing pages need.
html_baseurl = os.environ.get("SITE_URL", "")
notfound_urls_prefix = urlsplit(html_baseurl).path or "/"

# Links to other projects need their inventories, which only the network has in their newest state.
# The site builds without it, and each warning is an error, so by default these links are left out.
# SITE_INTERSPHINX names a folder with python.inv, django.inv and asgiref.inv, or is "network".
inventories = os.environ.get("SITE_INTERSPHINX")
if inventories:
    extensions.append("sphinx.ext.intersphinx")
homes = {
    "python": "https://docs.python.org/3",
    "django": "https://docs.djangoproject.com/en/stable",
    "asgiref": "https://asgi.readthedocs.io/en/latest",
}
intersphinx_mapping = {
    name: (home, None if inventories == "network" else f"{inventories}/{name}.inv")
    for name, home in homes.items()
}

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("compatibility.js", {"defer": "defer"})]
html_copy_source = False
html_show_sourcelink = False
