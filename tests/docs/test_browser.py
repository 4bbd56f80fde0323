"""The pages that ``nox -s docs`` has built, as Chromium shows them in a wide and a narrow window.

Nothing is wider than the window, no picture is missing, and the console has no errors.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

BUILT = Path(__file__).parents[2] / "docs" / "_build" / "html"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PAGES = (
    "index",
    "tutorials/first_gradient",
    "tutorials/recurrent",
    "how_to/disagree",
    "explanation/solvers",
    "coming_from/mlgenn",
    "gallery/index",
    "gallery/trace_fitting",
    "evidence",
    "gradient",
    "benchmarks/results/peers_intel-r-xeon-r-processor",
    "api/generated/brian_eventprop.EventPropModel",
    "api/generated/brian_eventprop.fit.SpikeFitter",
)
WINDOWS = {"wide": (1400, 1000), "narrow": (500, 1000)}  # Chromium has none narrower than 500

#: What a page says of itself once it is shown, as the title of the document.
ASK = """
<script>
window.addEventListener("load", () => setTimeout(() => {
  const missing = [...document.images].filter(i => i.complete && !i.naturalWidth).length;
  const root = document.documentElement;
  document.title = `measured ${root.scrollWidth} ${root.clientWidth} ${missing}`;
}, 300));
</script>
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)"),
    pytest.mark.skipif(not BUILT.exists(), reason="needs the pages: nox -s docs"),
]


def open_page(path, window, *options):
    """Return what Chromium writes to stdout and stderr."""
    size = ",".join(map(str, window))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={size}"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=4000", *options, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_its_window(page, window):
    path = BUILT / f"{page}.html"
    asking = path.with_name(f"{path.stem}-asked-{window}.html")
    asking.write_text(path.read_text().replace("</body>", f"{ASK}</body>"))
    try:
        shown = open_page(asking, WINDOWS[window], "--dump-dom")
    finally:
        asking.unlink()
    found = re.search(r"<title>measured (\d+) (\d+) (\d+)</title>", shown.stdout)
    assert found, shown.stderr[-2000:]
    width, room, missing = map(int, found.groups())
    assert width <= room, f"{page} is {width} wide in a window of {room}"
    assert missing == 0
    errors = [line for line in shown.stderr.splitlines() if ":CONSOLE" in line]
    assert not [line for line in errors if "Uncaught" in line or "ERR_" in line], errors


def test_a_wide_table_of_its_own_would_be_seen(tmp_path):
    """The measurement finds a page that is too wide, and a picture that is not there."""
    page = tmp_path / "page.html"
    page.write_text(f"<body><div style='width:3000px'>x</div><img src='no.png'>{ASK}</body>")
    shown = open_page(page, WINDOWS["wide"], "--dump-dom")
    width, room, missing = map(
        int, re.search(r"<title>measured (\d+) (\d+) (\d+)</title>", shown.stdout).groups()
    )
    assert width > room and missing == 1
