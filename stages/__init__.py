"""One thin script a stage of dvc.yaml: read its section of params.yaml, call pipeline, publish its outputs."""
