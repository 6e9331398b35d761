"""Pictures of what a model sees and says, and where they and a run's numbers are kept."""

from visuite.engine.visualization.backend import BaseVisBackend, force_init_env
from visuite.engine.visualization.canvas import Canvas, as_rgb
from visuite.engine.visualization.colors import class_palette
from visuite.engine.visualization.grid import image_grid
from visuite.engine.visualization.local import LocalVisBackend
from visuite.engine.visualization.mlflow import MLflowVisBackend
from visuite.engine.visualization.tensorboard import TensorboardVisBackend
from visuite.engine.visualization.visualizer import Visualizer
from visuite.engine.visualization.wandb import WandbVisBackend

__all__ = [
    "BaseVisBackend",
    "Canvas",
    "LocalVisBackend",
    "MLflowVisBackend",
    "TensorboardVisBackend",
    "Visualizer",
    "WandbVisBackend",
    "as_rgb",
    "class_palette",
    "force_init_env",
    "image_grid",
]
