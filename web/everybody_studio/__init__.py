"""onnxruntime-web for the page of `everybody studio`: files in `engine/`, and nothing else."""
