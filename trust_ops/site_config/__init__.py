"""Renders Alertmanager's configuration and the rules for a site: `monitoring/.env` and `monitoring/site.yml`."""

from trust_ops.site_config.errors import Problem, RenderError
from trust_ops.site_config.files import Rendered, render, write
from trust_ops.site_config.scaling import scaled
from trust_ops.site_config.site import DEFAULTS, Site
from trust_ops.site_config.site_file import read_site

__all__ = ["DEFAULTS", "Problem", "RenderError", "Rendered", "Site", "read_site", "render", "scaled", "write"]
