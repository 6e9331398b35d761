"""Class activation maps: which places of an image speak for a class.

Shapes: B images, H rows, W columns, K classes; of the layer that is looked at: C channels, h rows, w columns, or L
tokens, of which the first E stand nowhere.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from visuite.engine.utils.text import did_you_mean

#: Activations and gradients, (B, C, h, w) each, to weights of the activations that broadcast to their shape.
Weigh = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
_TINY = 1e-12


def gradcam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Weigh channels by their mean gradient (Selvaraju et al., arXiv:1610.02391)."""
    return gradients.mean(dim=(2, 3), keepdim=True)


def gradcam_plus_plus(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Weigh channels by positive gradients, each by how much its place alone explains the score (arXiv:1710.11063)."""
    square = gradients.square()
    divisor = 2 * square + activations.sum(dim=(2, 3), keepdim=True) * gradients.pow(3)
    share = torch.where(divisor.abs() > _TINY, square / divisor, 0)
    return (share * gradients.relu()).sum(dim=(2, 3), keepdim=True)


def xgradcam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Weigh channels by their gradients, where they are active (Fu et al., arXiv:2008.02312)."""
    total = activations.sum(dim=(2, 3), keepdim=True)
    product = (activations * gradients).sum(dim=(2, 3), keepdim=True)
    return torch.where(total.abs() > _TINY, product / total, 0)


def layercam(activations: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """Weigh each place by its positive gradient; good for early layers too (Jiang et al., LayerCAM, TIP 2021)."""
    return gradients.relu()


METHODS: Mapping[str, Weigh] = {
    "gradcam": gradcam,
    "gradcam++": gradcam_plus_plus,
    "xgradcam": xgradcam,
    "layercam": layercam,
}


class ClassActivationMap:
    """Look at the layers of a classifier while it scores.

    Args:
        model: Images (B, 3, H, W) to scores (B, K).
        target_layers: Names of its modules, such as `backbone.layer4`. By default the last one whose output still has
            places, more than one of which tell on the score: the last map or, among tokens, the last norm.
        method: One of `METHODS`.
        vit_like: Whether layers give tokens (B, L, C) rather than maps (B, C, h, w); by default as their outputs look.
        num_extra_tokens: E; by default what the backbone says of itself, else what is left of a grid.

    Raises:
        ValueError: an unknown method or layer; says the nearest.
    """

    def __init__(
        self,
        model: nn.Module,
        target_layers: Sequence[str] | None = None,
        *,
        method: str = "gradcam",
        vit_like: bool | None = None,
        num_extra_tokens: int | None = None,
    ) -> None:
        if method not in METHODS:
            raise ValueError(f"the methods are {', '.join(METHODS)}, not {method!r}{did_you_mean(method, METHODS)}")
        known = dict(model.named_modules())
        for name in target_layers or ():
            if name not in known:
                raise ValueError(f"{type(model).__name__} has no layer {name!r}{did_you_mean(name, known)}")
        self.model = model
        self.target_layers = None if target_layers is None else list(target_layers)
        self.weigh = METHODS[method]
        self.vit_like = vit_like
        told = getattr(getattr(model, "backbone", None), "num_extra_tokens", None)
        self.num_extra_tokens = told if num_extra_tokens is None else num_extra_tokens

    def __call__(self, inputs: torch.Tensor, categories: int | Sequence[int] | None = None) -> torch.Tensor:
        """Return what speaks for a class, (B, H, W) from 0 to 1; 1 where most does, all 0 where nothing does.

        Args:
            inputs: Preprocessed images (B, 3, H, W).
            categories: The class for all images, or one for each; by default the one with the best score.

        Raises:
            ValueError: there is no such class, or a layer gives neither maps nor tokens of a grid.
        """
        layers = self.target_layers or [self.find_layer(inputs[:1])]
        modules = dict(self.model.named_modules())
        with _watched({name: modules[name] for name in layers}, self.model) as outputs:
            scores = self._score(inputs)
            picked = scores[torch.arange(len(scores)), self._checked(categories, scores)].sum()
        absent = [name for name in layers if name not in outputs]
        if absent:
            raise ValueError(f"layer {absent[0]!r} takes no part in the scores, or gives no tensor")
        gradients = torch.autograd.grad(picked, [outputs[name] for name in layers], allow_unused=True)
        maps = []
        for name, gradient in zip(layers, gradients, strict=True):
            if gradient is None:
                raise ValueError(f"layer {name!r} does not tell on the score")
            maps.append(self._map(outputs[name].detach(), gradient, inputs.shape[2:], name))
        return torch.stack(maps).mean(dim=0)

    def find_layer(self, inputs: torch.Tensor) -> str:
        """Return the name of the layer that is looked at where none is named; takes one image (1, 3, H, W).

        Raises:
            ValueError: no layer will do.
        """
        part = getattr(self.model, "backbone", self.model)
        prefix = "" if part is self.model else "backbone."
        watched = {prefix + name: module for name, module in part.named_modules() if name}
        with _watched(watched, self.model) as outputs:
            score = self._score(inputs).amax()
        for name, output in reversed(outputs.items()):
            if output.ndim == 4 or (output.ndim == 3 and "Norm" in type(watched[name]).__name__):
                (gradient,) = torch.autograd.grad(score, output, retain_graph=True, allow_unused=True)
                if gradient is not None and self._has_places(gradient, inputs.shape[2:]):
                    return name
        raise ValueError("no layer of this model gives a map; name its target_layers")

    def _score(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, K), with a graph even where no parameter is trained."""
        scores = self.model(inputs.detach().clone().requires_grad_())
        if not isinstance(scores, torch.Tensor) or scores.ndim != 2:
            raise ValueError(f"{type(self.model).__name__} gives no scores (B, K): has it a head?")
        return scores

    def _checked(self, categories: int | Sequence[int] | None, scores: torch.Tensor) -> torch.Tensor:
        """Return the class of each image, (B,)."""
        if categories is None:
            return scores.argmax(dim=1)
        count, classes = scores.shape
        chosen = [categories] * count if isinstance(categories, int) else [int(one) for one in categories]
        wrong = [one for one in chosen if not 0 <= one < classes]
        if wrong or len(chosen) != count:
            raise ValueError(f"categories {chosen} of {count} images: each one is from 0 to {classes - 1}")
        return torch.tensor(chosen, device=scores.device)

    def _has_places(self, gradient: torch.Tensor, size: Sequence[int]) -> bool:
        """Tell whether more than one place of a layer's output tells on the score."""
        try:
            places = self._as_map(gradient, size).abs().sum(dim=1)
        except ValueError:
            return False
        return int(places.count_nonzero()) > 1

    def _map(self, activations: torch.Tensor, gradients: torch.Tensor, size: Sequence[int], name: str) -> torch.Tensor:
        """Return what a layer shows, (B, H, W)."""
        try:
            activations, gradients = (self._as_map(one.float(), size) for one in (activations, gradients))
        except ValueError as error:
            raise ValueError(f"layer {name!r}: {error}") from None
        summed = (self.weigh(activations, gradients) * activations).sum(dim=1, keepdim=True).relu()
        shown = F.interpolate(summed, tuple(size), mode="bilinear", align_corners=False)[:, 0]
        most = shown.amax(dim=(1, 2), keepdim=True)
        return torch.where(most > 0, shown / most, 0)

    def _as_map(self, x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """Return maps (B, C, h, w) as they are, and tokens (B, L, C) as maps."""
        tokens = x.ndim == 3 if self.vit_like is None else self.vit_like
        if x.ndim != (3 if tokens else 4):
            wanted = "tokens (B, L, C)" if tokens else "maps (B, C, h, w)"
            raise ValueError(f"its output of shape {tuple(x.shape)} is no {wanted}")
        if not tokens:
            return x
        extra, grid = token_grid(x.shape[1], size, self.num_extra_tokens)
        return x[:, extra:].transpose(1, 2).unflatten(2, grid)


def token_grid(count: int, size: Sequence[int], extra: int | None = None) -> tuple[int, tuple[int, int]]:
    """Return how many of L tokens stand nowhere, and the rows and columns of the others, of an image (H, W).

    Args:
        count: L.
        size: H and W; the grid has their proportion, but for what is rounded.
        extra: How many stand nowhere; by default as few as leave a grid.

    Raises:
        ValueError: the others are no grid.
    """
    height, width = size
    for nowhere in range(3) if extra is None else (extra,):
        rows = math.sqrt(max(count - nowhere, 0) * height / width)
        columns = rows * width / height
        for h, w in itertools.product((math.floor(rows), math.ceil(rows)), (math.floor(columns), math.ceil(columns))):
            if h * w == count - nowhere > 0:
                return nowhere, (h, w)
    told = "with up to 2 more" if extra is None else f"with {extra} more"
    raise ValueError(f"{count} tokens are no grid over {height}x{width} pixels {told}: is num_extra_tokens right?")


@contextmanager
def _watched(modules: Mapping[str, nn.Module], model: nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """Gather the outputs of modules by name, in the order in which they come about, while `model` evaluates.

    What goes on through the network is a copy, so that operations in place leave the gathered tensors alone.
    """
    outputs: dict[str, torch.Tensor] = {}

    def watch(name: str) -> Callable[..., torch.Tensor | None]:
        def hook(module: nn.Module, args: Any, output: Any) -> torch.Tensor | None:
            if not isinstance(output, torch.Tensor) or not output.requires_grad:
                return None
            outputs.pop(name, None)
            outputs[name] = output
            return output.clone()

        return hook

    training = {module: module.training for module in model.modules()}
    handles = [module.register_forward_hook(watch(name)) for name, module in modules.items()]
    model.eval()
    try:
        with torch.enable_grad():
            yield outputs
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode


def overlay(image: np.ndarray, cam: np.ndarray | torch.Tensor, opacity: float = 0.5) -> np.ndarray:
    """Lay a map over a picture, from blue (0) to red (1).

    Args:
        image: RGB uint8 (H, W, 3).
        cam: (H, W), from 0 to 1.
        opacity: How much of the map is seen.

    Returns:
        RGB uint8 (H, W, 3).

    Raises:
        ValueError: picture and map differ in size.
    """
    values = np.asarray(cam.detach().cpu() if isinstance(cam, torch.Tensor) else cam, np.float32)
    if values.shape != image.shape[:2]:
        raise ValueError(f"a map of {values.shape} over a picture of {image.shape[:2]}")
    levels = np.round(values.clip(0, 1) * 255).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_JET)[..., ::-1]
    return np.round(opacity * colours + (1 - opacity) * image).astype(np.uint8)
