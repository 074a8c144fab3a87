"""Renders Alertmanager's configuration and the rules with the variables of `monitoring/.env`."""

from trust_ops.site_config.errors import Problem, RenderError
from trust_ops.site_config.files import Rendered, render, write
from trust_ops.site_config.scaling import scaled

__all__ = ["Problem", "RenderError", "Rendered", "render", "scaled", "write"]
