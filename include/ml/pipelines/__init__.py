"""The commands: `python -m ml.pipelines.<name>`."""
