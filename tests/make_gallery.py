"""Run examples, time them, and make the thumbnails of examples/README.md.

    python tests/make_gallery.py                    # all of them, hours
    python tests/make_gallery.py price_forecast co2_forecast

Each script runs with its defaults on one thread, in a folder of its own. Printed are
its seconds of processor time, which other programs do not change.
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
THUMBNAILS = EXAMPLES / "guide" / "images" / "thumbnails"
WIDTH, N_COLORS = 240, 24
# Options without which there is no picture, or a server that never ends.
OPTIONS = {
    "beginners_script": ["--picture", "beginners_script.png"],
    "serve": ["--train", "model.safetensors"],
}


def run(name, folder):
    """Run a script; return its seconds of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *OPTIONS.get(name, [])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    subprocess.run(command, cwd=folder, env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def write_thumbnail(picture, path):
    """Write a small copy of a picture, with few colors."""
    image = Image.open(picture).convert("RGB")
    image.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    image.quantize(N_COLORS).save(path, optimize=True)


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
                write_thumbnail(picture, THUMBNAILS / f"{name}.png")
        print(f"{name}: {seconds:.0f} seconds", flush=True)


if __name__ == "__main__":
    main()
