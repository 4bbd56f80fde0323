"""The installed package is complete."""

import configparser
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import brian_eventprop as bep

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


def test_setup_cfg_names_every_file_of_the_package_that_is_no_code():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    installed = {
        file
        for package, patterns in config["options.package_data"].items()
        for pattern in patterns.split(", ")
        for file in (ROOT / package.replace("brian_eventprop.templates", "templates")).glob(pattern)
    }
    folders = (ROOT / "brian_eventprop", ROOT / "templates")
    files = {file for folder in folders for file in folder.rglob("*.*") if file.is_file()}
    assert installed == {file for file in files if file.suffix not in (".py", ".pyc")}


def test_the_stub_names_all_losses_and_all_of_the_training():
    assert {*bep.losses.__all__, *bep.training.__all__} <= set(bep.__all__)


@pytest.mark.parametrize("name", ["nothing", "__wrapped__", "_checks_of_nothing"])
def test_what_is_not_public_is_no_attribute(name):
    with pytest.raises(AttributeError, match=f"'brian_eventprop' has no attribute '{name}'"):
        getattr(bep, name)


def test_numba_is_imported_when_a_model_is():
    code = (
        "import sys; import brian_eventprop as bep; assert 'numba' not in sys.modules; "
        "bep.EventPropModel; assert 'numba' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_page_of_licences_names_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    named = {re.match(r"[\w-]+", line)[0] for line in [*project["dependencies"], *extras]}
    page = (ROOT / "docs" / "licences.md").read_text().lower().replace("pytorch", "torch")
    assert {name for name in named if name.lower() not in page} == set()
