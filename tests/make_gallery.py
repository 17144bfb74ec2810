"""Run examples, time them, and make the pictures of README, guide and gallery.

    python tests/make_gallery.py                    # all of them, hours
    python tests/make_gallery.py price_forecast co2_forecast

Each script runs with its defaults on one thread, in a folder of its own, and draws with
large letters, which can be read when the picture is small. Printed are its seconds of
processor time, which other programs do not change.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
IMAGES = EXAMPLES / "guide" / "images"
THUMBNAILS = IMAGES / "thumbnails"
THUMBNAIL, PAGE = (360, 64), (760, 256)  # pixels of width, and colors
STYLE = """
font.size: 15
axes.titlesize: medium
legend.fontsize: small
lines.linewidth: 2.5
"""
# Pictures that stand in README or guide, and their names there.
IN_PAGES = {
    "gradient_flow": "gradient_flow",
    "pronunciation": "pronunciation",
    "station_forecasts": "station_forecasts",
    "what_the_network_remembers": "hidden_states",
}
# Options without which there is no picture, or a server that never ends.
OPTIONS = {
    "beginners_script": ["--picture", "beginners_script.png"],
    "serve": ["--train", "model.safetensors"],
}


def run(name, folder):
    """Run a script; return its seconds of processor time."""
    Path(folder, "matplotlibrc").write_text(STYLE, encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *OPTIONS.get(name, [])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    subprocess.run(command, cwd=folder, env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def write_copy(picture, path, width, n_colors):
    """Write a smaller copy of a picture, with few colors."""
    image = Image.open(picture).convert("RGB")
    image.thumbnail((width, 2 * width), Image.Resampling.LANCZOS)
    image.quantize(n_colors).save(path, optimize=True)


def write_pictures(name, picture):
    """Write the thumbnail of an example, and its picture in README or guide."""
    write_copy(picture, THUMBNAILS / f"{name}.png", *THUMBNAIL)
    if name in IN_PAGES:
        write_copy(picture, IMAGES / f"{IN_PAGES[name]}.png", *PAGE)


def main(args=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = sorted(path.stem for path in EXAMPLES.glob("*.py"))
    parser.add_argument("names", nargs="*", metavar="NAME", default=names)
    options = parser.parse_args(args)
    THUMBNAILS.mkdir(exist_ok=True)
    for name in options.names:
        with tempfile.TemporaryDirectory() as folder:
            seconds = run(name, folder)
            for picture in Path(folder).glob("*.png"):
                write_pictures(name, picture)
        print(f"{name}: {seconds:.0f} seconds", flush=True)


if __name__ == "__main__":
    main()
