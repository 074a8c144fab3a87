"""Makes the access file of Grafana agree with the teams of the site."""

from __future__ import annotations

from typing import Final

import yaml

from trust_ops.site_config.site import Site

_HEADER: Final = """\
# Written by `trust-otel render` from monitoring/provisioning/access.yml and the teams of the site file. Do not edit.
# `trust-otel grafana access --file` applies it.
"""

# Folders by dashboard; each folder has one dashboard.
FOLDERS: Final = {
    "operational": "trust-operations",
    "security": "trust-security",
    "business": "trust-business",
    "pki": "trust-pki",
    "monitoring": "trust-monitoring",
}


def for_site(published: str, site: Site) -> str:
    """The text of the access file with the site's teams and what each may view and edit."""
    content = yaml.safe_load(published)
    content["teams"] = list(site.teams)
    for folder in content["folders"]:
        (dashboard,) = (name for name, uid in FOLDERS.items() if uid == folder["uid"])
        for level in ("edit", "view"):
            teams = [name for name, permissions in site.teams.items() if dashboard in getattr(permissions, level)]
            folder.pop(level, None)
            if teams:
                folder[level] = teams
    return _HEADER + yaml.safe_dump(content, sort_keys=False, width=120, allow_unicode=True)
