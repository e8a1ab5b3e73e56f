"""Inference: voice files, conversion of files, folders and streams, source separation, ONNX export."""
