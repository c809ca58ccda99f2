"""The API that auditors read the scores through: `create_app`. It writes nothing and takes no lock."""

from ml.serving.app import create_app

__all__ = ["create_app"]
