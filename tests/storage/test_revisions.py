from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from kanca.storage.migrating import LOCATIONS
from kanca.storage.revisions import newest_revision
from kanca.storage.standing import Half


def test_the_newest_revision_is_the_one_that_alembic_leads_to() -> None:
    config = Config()
    config.set_main_option("script_location", "kanca.storage:migrations")
    config.set_main_option("version_locations", LOCATIONS[Half.EXPAND])
    config.set_main_option("path_separator", "newline")

    assert newest_revision() == ScriptDirectory.from_config(config).get_current_head()


@pytest.mark.parametrize("process", ["gateway_process", "worker_process"])
def test_processes_that_only_serve_start_without_alembic(process: str) -> None:
    script = (
        f"import sys, kanca.app.{process}\n"
        "from kanca.storage.dialects.postgresql import database\n"
        "from kanca.storage.revisions import newest_revision\n"
        "newest_revision()\n"
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
