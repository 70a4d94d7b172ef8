"""Run `python -m gpn.ss.run_vep` in float32 on a CPU, once per argument list; for gpn's python.

    python run_vep_cpu.py runs.json [threads]

`gpn.ss.run_vep` of gpn 0.9.0a1 hard-codes `fp16=True` and `torch_compile=True`; both are switched
off here, and nothing else is touched. `runs.json` holds a list of argument lists. Prints one JSON
line a run: the seconds of `Trainer.predict`, which is the steady state, by the clock and of CPU.
"""

import json
import runpy
import sys
import time
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")
import torch  # noqa: E402
import transformers  # noqa: E402

_Arguments = transformers.TrainingArguments
_predict = transformers.Trainer.predict
seconds: dict[str, float] = {}


def arguments(**options):
    options |= {
        "fp16": False,
        "torch_compile": False,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
    }
    return _Arguments(**options)


def predict(self, *args, **options):
    global seconds
    start, cpu = time.perf_counter(), time.process_time()
    found = _predict(self, *args, **options)
    seconds = {"wall": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    return found


if __name__ == "__main__":
    transformers.TrainingArguments = arguments
    transformers.Trainer.predict = predict
    if len(sys.argv) > 2:
        torch.set_num_threads(int(sys.argv[2]))
    for argv in json.loads(Path(sys.argv[1]).read_text()):
        sys.argv[1:] = argv
        runpy.run_module("gpn.ss.run_vep", run_name="__main__")
        print(json.dumps(seconds), flush=True)
