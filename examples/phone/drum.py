"""One sound of a TFLite file with LiteRT alone: ``python drum.py MODEL.tflite CLASS OUT.npy``.

From noise, which may come from anywhere; signature "sample" draws it from a seed, as drum.c does.
"""

import json
import sys

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

path, name, out = sys.argv[1:]
with open(path, "rb") as file:
    model = schema.Model.GetRootAs(file.read(), 0)
entries = map(model.Metadata, range(model.MetadataLength()))
facts = next(json.loads(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes())
             for entry in entries if entry.Name() == b"melgan_tf")

inputs = {"noise": np.random.default_rng(0).standard_normal((1, facts["noise_dim"]), np.float32)}
if "classes" in facts:
    inputs["label"] = np.float32([[each == name for each in facts["classes"]]])
audio = Interpreter(path, num_threads=1).get_signature_runner("generate")(**inputs)["audio"][0]
np.save(out, audio)
print(f"{len(audio)} samples, {facts['sample_rate']} Hz, {facts['licence']}")
