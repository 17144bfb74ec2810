"""The code of the README and of the guide runs from top to bottom, in one epoch."""

import re

import matplotlib.pyplot as plt
import pytest
from joblib import parallel_config
from run_guide import GUIDE, PAGES, ROOT, code_blocks, run_block

from sklearn_rnn.estimators.tasks import _task

README = ROOT / "README.md"
WRITTEN = [*PAGES, ROOT / "examples" / "README.md", ROOT / "tests" / "README.md"]


def anchors(page):
    """Return what the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def run(page):
    """Run the code of a page; return its names."""
    names = {}
    plt.close("all")  # matplotlib warns of more than twenty
    for code in code_blocks(page):
        code = re.sub(r"max_epochs=\d+", "max_epochs=1", code)
        try:
            exec(compile(code, page.name, "exec"), names)
        except Exception as error:
            pytest.fail(f"{error!r} in this code of {page.name}:\n{code}")
    plt.close("all")
    return names


@pytest.fixture
def one_epoch(monkeypatch):
    # Here the code matters, not how well it forecasts.
    monkeypatch.setattr(_task, "n_epochs_for", lambda *sizes: 1)
    with parallel_config("threading"):  # other processes would train all epochs
        yield


@pytest.mark.thorough
# Of the import of shap.
@pytest.mark.filterwarnings("ignore:The set_:PendingDeprecationWarning")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if code_blocks(page)], ids=lambda page: page.stem
)
def test_the_code_of_a_page_runs(page, one_epoch):
    names = run(page)
    if page.stem == "forecasting":
        assert names["tomorrow"]["q0.1"].between(0, 100).all()


def test_the_guide_can_be_run_with_its_outputs(capsys):
    run_block("a = 2\na + 1\nNone\nprint(5)", {}, README)
    assert capsys.readouterr().out == ">>> a + 1\n3\n5\n"


def test_the_guide_has_code():
    assert sum(bool(code_blocks(page)) for page in PAGES) >= 9


@pytest.mark.parametrize(
    "page", WRITTEN, ids=lambda page: f"{page.parent.name}/{page.stem}"
)
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        path, _, anchor = link.partition("#")
        if path.startswith("http"):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_index_names_every_page():
    index = (GUIDE / "README.md").read_text(encoding="utf-8")
    for page in GUIDE.glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index


def test_the_gallery_shows_every_example():
    gallery = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for script in [
        *(ROOT / "examples").glob("*.py"),
        *(ROOT / "examples").glob("*.ipynb"),
    ]:
        assert f"]({script.name})" in gallery
    thumbnails = list((GUIDE / "images" / "thumbnails").glob("*.png"))
    assert thumbnails
    for picture in thumbnails:
        assert picture.stat().st_size <= 30_000
        assert f"thumbnails/{picture.name})" in gallery


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 250
