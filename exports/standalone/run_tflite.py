"""Runs a TFLite file, or the model of a page, as a phone would: with LiteRT alone, on one thread. See calls.py."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

sys.path.insert(0, str(Path(__file__).parent))
import calls


def load(path: str) -> tuple[Callable, Callable]:
    file = Path(path, "model.tflite") if Path(path).is_dir() else Path(path)
    interpreter, ops = Interpreter(model_path=str(file), num_threads=1), operations(file.read_bytes())

    def signature(name: str) -> tuple[list[str], Callable]:
        runner = interpreter.get_signature_runner(name)

        def run(inputs: calls.Arrays) -> calls.Arrays:
            """One call a sound."""
            results = [runner(**{key: value[i:i + 1] for key, value in inputs.items()})
                       for i in range(len(next(iter(inputs.values()))))]
            return {key: np.concatenate([result[key] for result in results]) for key in results[0]}

        return list(runner.get_input_details()), run

    def facts() -> dict[str, object]:
        if "tensorflow" in sys.modules:
            raise SystemExit("running it needed TensorFlow")
        return {"ops": ops, "signatures": interpreter.get_signature_list(), "threads": 1}

    return signature, facts


def operations(content: bytes) -> dict[str, int]:
    """Counts of the operations of every subgraph, read from the file: a delegate would hide those it takes over."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    model, counts = schema.Model.GetRootAs(content, 0), {}
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            code = model.OperatorCodes(operator.OpcodeIndex())
            custom = code.CustomCode()
            name = custom.decode() if custom else names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            counts[name] = counts.get(name, 0) + 1
    foreign = [name for name in counts if name not in names.values()]
    if foreign:
        raise SystemExit(f"operations that are not builtin: {', '.join(foreign)}")
    return dict(sorted(counts.items()))


calls.main(load)
