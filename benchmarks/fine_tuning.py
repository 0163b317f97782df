"""What fine-tuning gives: a shipped model as it is, from scratch and fine-tuned, against held-out sounds of one's own.

``python benchmarks/fine_tuning.py OWN REFERENCE`` trains twice on the sounds in OWN, with as many steps, and evaluates
all three models against the sounds in REFERENCE, which no run learns from. The runs are kept in ``--runs``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import results

import melgan_tf as mt

_SHOWN = ("frechet", "precision", "recall", "coverage")
_EMBEDDINGS = {"class embedding": "drums", "log-mel statistics": "statistics"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("own", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--source", default="pretrained:drums")
    parser.add_argument("--preset", default="drums")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--runs", type=Path, default=Path("runs/fine-tuning"))
    results.add_option(parser)
    arguments = parser.parse_args()

    models, seconds = {f"{arguments.source} as it is": arguments.source}, []
    for title, init_from in ((f"{arguments.preset} from scratch, {arguments.steps:,} steps", None),
                             (f"{arguments.source} fine-tuned, {arguments.steps:,} steps", arguments.source)):
        run = arguments.runs / ("fine-tuned" if init_from else "scratch")
        began = time.process_time()
        mt.train(arguments.own, run, preset=arguments.preset, init_from=init_from, valid=arguments.reference,
                 fresh=True, changes={"training": {"steps": arguments.steps}})
        seconds.append(time.process_time() - began)
        models[title] = run
    found = {title: mt.evaluate(model, reference=arguments.reference, train=arguments.own).to_dict()
             for title, model in models.items()}
    tables = {}
    for title, key in _EMBEDDINGS.items():
        rows = [[model, *(values[key]["generated"][name] for name in _SHOWN)] for model, values in found.items()]
        rows.append(["real against real", *(next(iter(found.values()))[key]["floor"][name] for name in _SHOWN)])
        tables[title] = results.table([title, "Fréchet", "precision", "recall", "coverage"], rows)
    note = f"Training took {seconds[0]:.0f} and {seconds[1]:.0f} seconds of CPU time; one run each."
    print(results.save("fine_tuning", tables, arguments.results, note))


if __name__ == "__main__":
    main()
