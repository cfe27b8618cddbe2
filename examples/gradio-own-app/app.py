"""A team's own Gradio app for the digits model: python app.py

It knows nothing of seatrial. SEATRIAL_MODEL_DIR names the directory of the model to serve; without it, the one beside this file.
"""

import json
import os
import pickle
from pathlib import Path

import gradio as gr
import numpy as np

MODEL = Path(os.environ.get("SEATRIAL_MODEL_DIR", Path(__file__).parent / "model"))
VERSION = json.loads((MODEL / "model.json").read_text())["version"]
classifier = pickle.loads((MODEL / "artifact" / "model.pkl").read_bytes())  # noqa: S301 - our own file


def classify(question: dict) -> dict:
    pixels = np.asarray(question["pixels"], dtype=np.float64)
    if pixels.ndim != 2 or pixels.shape[1] != 64:
        raise gr.Error(f"pixels has shape {pixels.shape}, expected (n, 64)")
    return {"outputs": {"probabilities": classifier.predict_proba(pixels).tolist()}, "model_version": VERSION}


demo = gr.Interface(
    classify, gr.JSON(label="Pixels"), gr.JSON(label="Probabilities"), title="Our digits", api_name="classify"
)

if __name__ == "__main__":
    demo.queue(default_concurrency_limit=4).launch()
