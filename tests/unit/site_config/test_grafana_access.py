"""The access file of Grafana agrees with the teams of the site."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from trust_ops.grafana.access_file import read_access
from trust_ops.site_config import Rendered, Site
from trust_ops.site_config.grafana_access import FOLDERS
from trust_ops.site_config.site import Permissions
from trust_ops.stack.files import access_file

Render = Callable[..., Rendered]


def test_the_published_file_is_that_of_the_default_teams(rendered: Render) -> None:
    published = yaml.safe_load(access_file().read_text())
    assert yaml.safe_load(rendered().texts["access.yml"]) == published


def test_a_team_may_do_what_the_site_says(rendered: Render, tmp_path: Path) -> None:
    site = Site(
        teams={"auditors": Permissions(view=("security", "business")), "ops": Permissions(edit=("operational",))}
    )
    path = tmp_path / "access.yml"
    path.write_text(rendered(site=site).texts["access.yml"])
    access = read_access(path)
    assert access.teams == ("auditors", "ops")
    granted = {each.uid: dict(each.teams) for each in access.resources if each.kind == "folder"}
    assert granted == {
        "trust-operations": {"ops": "edit"},
        "trust-security": {"auditors": "view"},
        "trust-business": {"auditors": "view"},
        "trust-pki": {},
        "trust-monitoring": {},
    }
    # Service accounts are not a setting of the site.
    assert set(access.service_accounts) == {"dashboards-reader", "annotations-writer"}


@pytest.mark.parametrize("dashboard", FOLDERS)
def test_every_dashboard_has_its_folder(dashboard: str) -> None:
    folders = yaml.safe_load((access_file().parent / "dashboards" / "trust-service.yml").read_text())["providers"]
    assert FOLDERS[dashboard] in {folder["folderUid"] for folder in folders}
