"""Run the code of pages of the guide as a reader would, with its outputs and seconds.

    python tests/run_guide.py                        # all pages, minutes
    python tests/run_guide.py text sound
    python tests/run_guide.py --seconds              # one line per page

Each block runs with the epochs that it asks for. Printed are what its expressions
return, as in a notebook, and its seconds of processor time, which other programs do not
change.
"""

import argparse
import ast
import os
import re
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "examples" / "guide"
PAGES = [ROOT / "README.md", *sorted(GUIDE.glob("*.md"))]
LONGEST = 400  # characters of an output that are shown


def code_blocks(page):
    """Return the Python code of a page, block by block, without indentation."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```python\n(.*?)^ *```", text, re.M | re.S)
    return [re.sub(f"^{re.match(' *', b)[0]}", "", b, flags=re.M) for b in blocks]


def run_block(code, names, page):
    """Run the code of a block; print what its expressions return."""
    for node in ast.parse(code).body:
        if isinstance(node, ast.Expr):
            expression = compile(ast.Expression(node.value), page.name, "eval")
            value = eval(expression, names)
            if value is not None:
                text = repr(value)
                more = " ..." if len(text) > LONGEST else ""
                print(f">>> {ast.unparse(node)}\n{text[:LONGEST]}{more}")
        else:
            module = ast.Module([node], type_ignores=[])
            exec(compile(module, page.name, "exec"), names)


def seconds_used():
    """Return processor seconds of this process and of those that it has ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="*", help="such as text; all of them if none")
    parser.add_argument("--seconds", action="store_true", help="print these alone")
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", MPLBACKEND="agg")
    for page in PAGES:
        blocks = code_blocks(page)
        if not blocks or (options.pages and page.stem not in options.pages):
            continue
        names, begin, began = {}, seconds_used(), time.perf_counter()
        for k, code in enumerate(blocks):
            before = seconds_used()
            if options.seconds:
                exec(compile(code, page.name, "exec"), names)
                continue
            print(f"\n## {page.stem}, block {k + 1}")
            run_block(code, names, page)
            print(f"({seconds_used() - before:.1f} s)", flush=True)
        total = seconds_used() - begin
        clock = time.perf_counter() - began
        print(f"{page.stem}: {total:.0f} s of the processor, {clock:.0f} s in all")


if __name__ == "__main__":
    main()
