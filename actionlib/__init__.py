"""Video action recognition: data, models and training as a plain PyTorch library (no Ray needed)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actionlib.zoo import ModelInfo, create_model, list_models, model_info

__all__ = ["ModelInfo", "create_model", "list_models", "model_info"]


def __getattr__(name: str) -> object:
    # Looked up at first use: PyTorch costs a preprocessing worker, which needs none of these, 200 MB and seconds.
    if name not in __all__:
        raise AttributeError(f"module 'actionlib' has no attribute {name!r}")
    from actionlib import zoo

    return getattr(zoo, name)
