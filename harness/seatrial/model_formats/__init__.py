"""Model formats other than `PythonModel`: ONNX files and the directories that MLflow saves."""
