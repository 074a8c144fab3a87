"""Adapts the published rules to the site."""

from __future__ import annotations

import re
from collections.abc import Iterable

from trust_ops.site_config.site import DEFAULTS, Site


def for_site(rules: str, site: Site) -> str:
    """The text of a rule file with the site's addresses and critical methods."""
    links = {f"{published}/": f"{site.links[name]}/" for name, published in DEFAULTS.links.items()}
    methods = {method_pattern(DEFAULTS.critical.grpc_methods): method_pattern(site.critical.grpc_methods)}
    replaced = links | methods
    # In one pass: an address of the site may contain a published one.
    return re.sub("|".join(map(re.escape, replaced)), lambda found: replaced[found[0]], rules)


def method_pattern(names: Iterable[str]) -> str:
    """The regular expression for `package.Service/Method` whose method begins with one of the names."""
    return f".*/({'|'.join(names)}).*"
