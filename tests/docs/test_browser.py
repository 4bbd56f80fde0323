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
WIDTHS = {"wide": 1400, "narrow": 390}  # a desk, a telephone

#: What a page says of itself once it is shown.
ASK = """
<script>
window.addEventListener("load", () => setTimeout(() => {
  const missing = [...document.images].filter(i => i.complete && !i.naturalWidth).length;
  const root = document.documentElement;
  parent.postMessage(`measured ${root.scrollWidth} ${root.clientWidth} ${missing}`, "*");
}, 300));
</script>
"""

#: A window of any width: Chromium itself has none that is narrower than 500.
FRAME = """
<script>addEventListener("message", message => {{ document.title = message.data; }});</script>
<iframe src="{page}" width="{width}" height="1000" frameborder="0"></iframe>
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)"),
    pytest.mark.skipif(not BUILT.exists(), reason="needs the pages: nox -s docs"),
]


def measured(page, width, folder):
    """Return the width of a page, of its window, how many pictures are missing, and the console."""
    frame = folder / "frame.html"
    frame.write_text(FRAME.format(page=page.as_uri(), width=width))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1500,1100"]
    command += ["--allow-file-access-from-files", "--enable-logging=stderr"]
    command += ["--virtual-time-budget=4000", "--dump-dom", frame.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r"<title>measured (\d+) (\d+) (\d+)</title>", shown.stdout)
    assert found, shown.stderr[-2000:]
    console = [line for line in shown.stderr.splitlines() if ":CONSOLE" in line]
    return *map(int, found.groups()), console


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_its_window(page, width, tmp_path):
    path = BUILT / f"{page}.html"
    asking = path.with_name(f"{path.stem}-asked-{width}.html")
    asking.write_text(path.read_text().replace("</body>", f"{ASK}</body>"))
    try:
        needed, room, missing, console = measured(asking, WIDTHS[width], tmp_path)
    finally:
        asking.unlink()
    assert room <= WIDTHS[width] and needed <= room
    assert missing == 0
    assert not [line for line in console if "Uncaught" in line or "ERR_" in line], console


def test_what_is_wrong_is_seen(tmp_path):
    """A page that is too wide, a picture that is not there, and an error of a script."""
    page = tmp_path / "page.html"
    wrong = "<div style='width:3000px'>x</div><img src='no.png'><script>nothing()</script>"
    page.write_text(f"<body>{wrong}{ASK}</body>")
    needed, room, missing, console = measured(page, WIDTHS["narrow"], tmp_path)
    assert needed == pytest.approx(3000, abs=30) and room <= 390 and missing == 1
    assert any("Uncaught" in line for line in console)
