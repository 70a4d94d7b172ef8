"""Training speed on a CPU against `python -m gpn.ss.run_mlm`, in one run on one machine.

    VARLM_TRAIN_PEER=path/to/python python benchmarks/train.py [--steps 40] [--rounds 2]

Both train the same GPN from scratch on the same windows of a random genome, with the same batch,
optimiser and number of steps, each as a process of its own, in turns. Windows a second of the
loop, without start-up: run_mlm's `train_runtime`, and the last row of varlm's learning curve. The
best of the rounds counts. Results go to `benchmarks/results/train.json`.

The peer needs an environment of its own, in which its script runs (0.9.0a1 does not with
transformers 5 or datasets 4):

    pip install 'gpn[train]==0.9.0a1' torch==2.13.0 'transformers<4.50' 'datasets<4'
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow_scripts")]

from varlm.training.checkpoints import write_checkpoint
from varlm.training.families import new_network

WINDOW = 512
SHAPES = {
    "saccharomyces, 1.85 M": {
        **{"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 8},
        **{"first_kernel_size": 9, "rest_kernel_size": 9},
        **{"dilation_cycle": 6, "dilation_max": 32},
    },
    "bytenet, 2.1 M": {
        **{"encoder": "bytenet", "hidden_size": 192, "slim": True, "num_hidden_layers": 16},
        **{"first_kernel_size": 9, "rest_kernel_size": 9},
        **{"dilation_cycle": 6, "dilation_max": 32},
    },
}
SETTINGS = {
    "learning_rate": 1e-3,
    "schedule": "constant",
    "warmup_steps": 0,
    "decay_steps": 0,
    "weight_decay": 0.01,
    "beta1": 0.9,
    "beta2": 0.98,
    "clip": 1.0,
    "seed": 1,
    "precision": "float32",
    "validation_windows": 1,
    "patience": None,
    "mask_share": 0.15,
    "soft_masked_weight": 0.1,
    "jitter": 0,
}


class Bench:
    """One genome; `varlm` and `peer` return windows a second."""

    def __init__(self, folder: Path, steps: int, batch: int, threads: int):
        self.folder, self.steps, self.batch, self.threads = folder, steps, batch, threads
        text = "".join(np.random.default_rng(0).choice(list("ACGT"), 400_000))
        (folder / "genome.fa").write_text(f">a\n{text}\n>v\n{text[:WINDOW]}\n")
        self.run(
            [sys.executable, ROOT / "workflow_scripts", "prepare_training"],
            *("--genome", f"g={folder / 'genome.fa'}", "--window", WINDOW, "--stride", WINDOW),
            *("--promoter", 0, "--validation", "v", "--keep-copies", "--keep-similar"),
            *("--out", folder / "corpus"),
        )
        windows = [text[i : i + WINDOW] for i in range(0, len(text) - WINDOW, WINDOW)]
        (folder / "data").mkdir()
        for split in ("train", "validation"):
            pl.DataFrame({"seq": windows}).write_parquet(folder / "data" / f"{split}.parquet")

    def run(self, program: list, *arguments: object) -> None:
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(self.threads),
            "HF_HUB_OFFLINE": "1",
            "WANDB_DISABLED": "true",
            "CUDA_VISIBLE_DEVICES": "",
        }
        done = subprocess.run(
            [*map(str, program), *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{program}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")

    def varlm(self, model: dict, name: str) -> float:
        out = self.folder / name
        settings = {
            **SETTINGS,
            "steps": self.steps,
            "batch_size": self.batch,
            "micro_batch": self.batch,
            "evaluate_every": self.steps,
        }
        self.run(
            [sys.executable, ROOT / "workflow_scripts", "train"],
            *("--corpus", self.folder / "corpus", "--model", json.dumps(model)),
            *("--settings", json.dumps(settings), "--state", out / "state.pt"),
            *("--device", "cpu", "--threads", self.threads),
            *("--out", out / "checkpoint", "--curve", out / "curve.tsv"),
        )
        seconds = pl.read_csv(out / "curve.tsv", separator="\t")["seconds"][-1]
        return self.steps * self.batch / seconds

    def peer(self, python: str, model: dict, name: str) -> float:
        out = self.folder / name
        new = new_network({"family": "gpn", **model}, WINDOW)
        write_checkpoint(out / "start", new.config, new.network.tensors(), WINDOW)
        self.run(
            [python, "-m", "gpn.ss.run_mlm"],
            *("--do_train", "--report_to", "none", "--dataset_name", self.folder / "data"),
            *("--config_name", out / "start", "--tokenizer_name", out / "start"),
            *("--output_dir", out / "trained", "--max_steps", self.steps),
            *("--per_device_train_batch_size", self.batch, "--total_batch_size", self.batch),
            *("--learning_rate", 1e-3, "--lr_scheduler_type", "constant", "--warmup_steps", 0),
            *("--weight_decay", 0.01, "--adam_beta2", 0.98, "--save_strategy", "no"),
            *("--soft_masked_loss_weight_train", 0.1, "--remove_unused_columns", "False"),
            *("--dataloader_num_workers", 0, "--logging_steps", self.steps, "--use_cpu", "True"),
            *("--seed", 1),
        )
        results = json.loads((out / "trained/train_results.json").read_text())
        return self.steps * self.batch / results["train_runtime"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="without the peer")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/train.json")
    args = parser.parse_args()
    python = os.environ.get("VARLM_TRAIN_PEER")
    if python is None and not args.alone:
        sys.exit("VARLM_TRAIN_PEER names no Python with gpn's training extra; or use --alone")
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), args.steps, args.batch, args.threads)
        for shape, model in SHAPES.items():
            ours, theirs = [], []
            for number in range(args.rounds):
                name = f"{shape.split(',')[0]}{number}"
                ours.append(bench.varlm({"family": "gpn", **model}, f"ours-{name}"))
                if not args.alone:
                    theirs.append(bench.peer(python, model, f"peer-{name}"))
            figures[shape] = {"varlm_windows_per_s": [round(v, 2) for v in ours]}
            if theirs:
                figures[shape]["run_mlm_windows_per_s"] = [round(v, 2) for v in theirs]
                figures[shape]["ratio_of_the_best"] = round(max(ours) / max(theirs), 2)
            print(shape, figures[shape], flush=True)
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        **{name: getattr(args, name) for name in ("steps", "batch", "rounds", "threads")},
        "window": WINDOW,
        "figures": figures,
    }
    args.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
