"""Runs every method of the study that has no result yet, each in a process of its own.

    python benchmarks/study.py --list
    python benchmarks/study.py --data glyphs fashion-mnist --seeds 0 1 2 --jobs 2
    python benchmarks/study.py --methods sfsc prunnet-channel --steps 600
    python benchmarks/study.py --methods variants channel-variants   # one factor changed at a time
    python benchmarks/study.py --data glyphs-resnet18 glyphs-vit --device cuda --jobs 8

It goes on where it stopped: a result of the same recipe is not made again, and trainings are kept
in ``--store`` until you delete it. A recipe is data and settings: who changes how a method works
deletes its results, and the store. ``benchmarks/tables.py`` makes the pages of what there is.
Several jobs on one GPU take turns, unless CUDA's MPS (``nvidia-cuda-mps-control -d``) runs.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

import results
from methods import CHANNEL_VARIANTS, DEFAULT_VARIANTS, METHODS, VARIANTS
from study_files import is_done
from tasks import STEPS, TASKS

STORE = Path(__file__).parent / "trained"
_CHILDREN: set[subprocess.Popen[str]] = set()
"""The processes that run now."""
_INTERRUPTED = threading.Event()
"""Ends the one that was about to start when the others were stopped."""


def runs(arguments: argparse.Namespace) -> list[tuple[str, str, int]]:
    """(data, method, seed) of all that are asked for, in the order in which they run."""
    chosen = _methods(arguments.methods)
    return [
        (data, method, seed)
        for seed, data, method in itertools.product(arguments.seeds, arguments.data, chosen)
    ]


def missing(arguments: argparse.Namespace) -> list[tuple[str, str, int]]:
    """Those of them that have no result of this recipe yet."""
    return [
        (data, method, seed)
        for data, method, seed in runs(arguments)
        if not is_done(data, method, TASKS[data](arguments.steps, seed, arguments.weights))
    ]


def run_all(todo: Iterable[tuple[str, str, int]], arguments: argparse.Namespace) -> list[str]:
    """Runs them, some at once, and returns what failed and why; an interrupt stops all."""
    todo, failures = list(todo), []
    bar = tqdm(total=len(todo), unit="run", disable=None)
    with ThreadPoolExecutor(arguments.jobs) as pool, bar:
        started = {pool.submit(_run, run, arguments): run for run in todo}
        try:
            for done in as_completed(started):
                data, method, seed = started[done]
                error = done.result()
                bar.update()
                bar.set_postfix_str(f"{data} {method} {seed}")
                if error:
                    failures.append(f"{data} {method} {seed}: {error}")
                tqdm.write(f"{'failed' if error else 'done'}: {data} {method} {seed}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            _INTERRUPTED.set()
            for child in list(_CHILDREN):
                child.terminate()
            raise
    return failures


def _run(run: tuple[str, str, int], arguments: argparse.Namespace) -> str:
    """Runs one in a process of one thread; the last line of its error, or nothing."""
    data, method, seed = run
    command = [sys.executable, str(Path(__file__).parent / "method.py"), method]
    command += ["--data", data, "--seed", str(seed), "--steps", str(arguments.steps)]
    command += ["--store", str(arguments.store), "--results", str(results.FOLDER)]
    command += ["--device", arguments.device]
    if arguments.weights is not None:
        command += ["--weights", str(arguments.weights)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, env=environment) as child:
        _CHILDREN.add(child)
        if _INTERRUPTED.is_set():
            child.terminate()
        _, errors = child.communicate()
        _CHILDREN.discard(child)
    if child.returncode == 0:
        return ""
    return (errors.strip().splitlines() or [f"exit code {child.returncode}"])[-1]


def _methods(names: Iterable[str]) -> list[str]:
    groups = {
        "methods": list(METHODS),
        "variants": [name for name in VARIANTS if name not in CHANNEL_VARIANTS | DEFAULT_VARIANTS],
        "default-variants": list(DEFAULT_VARIANTS),
        "channel-variants": list(CHANNEL_VARIANTS),
    }
    chosen = [method for name in names for method in groups.get(name, [name])]
    unknown = set(chosen) - set(METHODS | VARIANTS)
    if unknown:
        found = ", ".join(sorted(unknown))
        raise ValueError(
            f"--methods should be of those that method.py --list shows. Found {found}."
        )
    return list(dict.fromkeys(chosen))


def main() -> None:
    """Runs what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=TASKS, default=["glyphs"])
    parser.add_argument("--methods", nargs="+", default=["methods"], metavar="METHOD",
                        help="names, or `methods`, `[default-|channel-]variants`")  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--weights", type=Path, help="pretrained weights of glyphs-mobilenet")
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    parser.add_argument("--list", action="store_true", help="what is there and what is missing")
    arguments = parser.parse_args()
    results.FOLDER = arguments.results
    if arguments.jobs < 1:
        parser.error(f"--jobs should be at least 1. Found {arguments.jobs}.")
    if arguments.weights is not None and not arguments.weights.is_file():
        parser.error(f"--weights should be a file. Found {arguments.weights}.")
    try:
        todo = missing(arguments)
    except ValueError as error:
        parser.error(str(error))
    if arguments.list:
        for run in runs(arguments):
            print("missing" if run in todo else "there  ", *run)
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        failures = run_all(todo, arguments)
    except KeyboardInterrupt:
        sys.exit("Interrupted. The same command goes on where it stopped.")
    for failure in failures:
        print(failure, file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
