"""Turns the templates of Alertmanager and the rules, with the variables of `monitoring/.env`, into files to load."""

from trust_otel.render.errors import Problem, RenderError
from trust_otel.render.files import Rendered, render, write
from trust_otel.render.scaling import scaled

__all__ = ["Problem", "RenderError", "Rendered", "render", "scaled", "write"]
