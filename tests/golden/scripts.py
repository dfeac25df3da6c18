"""Runs generated scripts, each as `python FILE MODEL` would, in one process: the libraries are imported once.

    scripts.py LIST.json      [{"script": FILE, "model": FOLDER or null, "out": FILE}, …]

What a script prints goes to its `out`, what it says on its error output to `out` + ".log"; what it failed with, to `out` + ".err".
"""

import contextlib
import io
import json
import os
import runpy
import sys
import traceback
import warnings
from importlib.metadata import version

# One thread: these models are so small that threads only wait for each other.
os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TQDM_DISABLE="1", TOKENIZERS_PARALLELISM="false")
warnings.filterwarnings("ignore")

with open(sys.argv[1]) as file:
    jobs = json.load(file)
for at, job in enumerate(jobs):
    out, said = io.StringIO(), io.StringIO()
    sys.argv = [job["script"], *filter(None, [job["model"]])]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            runpy.run_path(job["script"], run_name="__main__")
    except BaseException:
        with open(job["out"] + ".err", "w") as file:
            file.write(traceback.format_exc())
    else:
        with open(job["out"], "w") as file:
            file.write(out.getvalue())
        with open(job["out"] + ".log", "w") as file:
            file.write(said.getvalue())
    if at % 25 == 24:
        print(f"{at + 1} of {len(jobs)} scripts", file=sys.stderr)
names = ["torch", "transformers", "numpy", "transformer_lens", "nnsight"]
found = {}
for name in names:
    with contextlib.suppress(Exception):
        found[name] = version(name)
print(json.dumps({"python": sys.version.split()[0], **found}))
