"""The installed package is complete."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_setup_cfg_names_every_folder_of_the_package():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = set(config["options"]["packages"].split())
    folders = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for init in (ROOT / "brian_eventprop").rglob("__init__.py")
    }
    assert named == folders | {"brian_eventprop.templates"}
