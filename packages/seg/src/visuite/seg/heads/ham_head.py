"""The head of SegNeXt: a hamburger.

Shapes: B images, I channels of all maps, C channels of features, E channels inside, h rows, w columns, S groups, D
values of a pixel, N pixels, R bases; D = E / S and N = h * w, or the other way round.

Names of parameters: squeeze.conv, hamburger.{ham_in,ham_out}.conv, align.conv, conv_seg.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Maps
from visuite.seg.layers import ConvOptions, resize_concat
from visuite.seg.registry import MODELS

#: What keeps divisions finite.
_EPS = 1e-6
_HAM_KEYS = frozenset(("SPATIAL", "MD_S", "MD_D", "MD_R", "TRAIN_STEPS", "EVAL_STEPS", "INV_T", "RAND_INIT"))


class NMF2D(nn.Module):
    """Non-negative factors of a map: pixels as mixtures of a few bases that are found in the image itself.

    Bases begin from random numbers: while training from new ones, else always from the same, so that an image is
    told in one way.

    Args:
        spatial: Let pixels be mixtures of channels; else channels mixtures of pixels.
        groups: S.
        num_bases: R.
        train_steps: Steps while training.
        eval_steps: Steps otherwise.
        rand_init: Begin from random numbers while training; else from the same as otherwise.
    """

    def __init__(
        self,
        *,
        spatial: bool = True,
        groups: int = 1,
        num_bases: int = 64,
        train_steps: int = 6,
        eval_steps: int = 7,
        rand_init: bool = True,
    ) -> None:
        super().__init__()
        self.spatial, self.groups, self.num_bases = spatial, groups, num_bases
        self.train_steps, self.eval_steps, self.rand_init = train_steps, eval_steps, rand_init

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, E, h, w), not negative, to the same shape."""
        values = x.unflatten(1, (self.groups, -1)).flatten(0, 1).flatten(2)  # (B * S, E / S, h * w)
        if not self.spatial:
            values = values.transpose(1, 2)
        bases = self._first_bases(values)
        with torch.no_grad():
            bases, coef = self._factors(values, bases)
        coef = _improved(coef, values.transpose(1, 2) @ bases, bases.transpose(1, 2) @ bases)
        found = bases @ coef.transpose(1, 2)
        found = found if self.spatial else found.transpose(1, 2)
        return found.unflatten(0, (-1, self.groups)).flatten(1, 2).unflatten(2, x.shape[2:])

    def _first_bases(self, values: torch.Tensor) -> torch.Tensor:
        shape = (values.shape[0], values.shape[1], self.num_bases)
        if self.training and self.rand_init:
            start = torch.rand(shape, device=values.device)
        else:
            start = scattered(shape[1], shape[2], values.device).expand(shape)
        return F.normalize(start.to(values.dtype), dim=1)

    def _factors(self, values: torch.Tensor, bases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return bases (B * S, D, R) and shares (B * S, N, R) of values (B * S, D, N)."""
        coef = (values.transpose(1, 2) @ bases).softmax(dim=-1)
        for _ in range(self.train_steps if self.training else self.eval_steps):
            coef = _improved(coef, values.transpose(1, 2) @ bases, bases.transpose(1, 2) @ bases)
            bases = _improved(bases, values @ coef, coef.transpose(1, 2) @ coef)
        return bases, coef


def scattered(rows: int, columns: int, device: torch.device) -> torch.Tensor:
    """Return (rows, columns) numbers in (0, 1) that look random, and are the same on every device and when exported."""
    prime = 8388593
    place = torch.arange(rows * columns, device=device)
    mixed = (place * place % prime * 48271 + place * 69621 + 1) % prime
    return ((mixed + 1).to(torch.float32) / (prime + 1)).unflatten(0, (rows, columns))


def _improved(factor: torch.Tensor, wanted: torch.Tensor, gram: torch.Tensor) -> torch.Tensor:
    """Return one factor nearer to its best, by a multiplicative update (Lee and Seung, NIPS 2000)."""
    return factor * wanted / (factor @ gram + _EPS)


class Hamburger(nn.Module):
    """Factors of a map between two convolutions, and the way round them (Geng et al., arXiv:2109.04553).

    Args:
        channels: E.
        ham_kwargs: Settings of the factors, as configs write them: `MD_S`, `MD_R`, `train_steps`, `eval_steps`,
            `rand_init`, `spatial`; `MD_D` and `inv_t` have no meaning for non-negative factors.
        options: Of the convolutions.
    """

    def __init__(self, channels: int, ham_kwargs: Mapping[str, Any], *, options: ConvOptions) -> None:
        super().__init__()
        self.ham_in = options.conv(channels, channels, norm_cfg=None, act_cfg=None)
        self.ham = NMF2D(**_ham_arguments(ham_kwargs))
        self.ham_out = options.conv(channels, channels, act_cfg=None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, E, h, w) to the same shape."""
        return (x + self.ham_out(self.ham(self.ham_in(x).relu()))).relu()


@MODELS.register_module()
class LightHamHead(BaseDecodeHead):
    """Maps side by side, then a hamburger (SegNeXt, arXiv:2209.08575).

    Args:
        ham_channels: E.
        ham_kwargs: See `Hamburger`.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(self, *, ham_channels: int = 512, ham_kwargs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(input_transform="multiple_select", **kwargs)
        self.squeeze = self.conv(sum(self.map_channels), ham_channels)
        self.hamburger = Hamburger(ham_channels, ham_kwargs or {}, options=self.options)
        self.align = self.conv(ham_channels, self.channels)

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        together = resize_concat(self._transform_inputs(inputs), align_corners=self.align_corners)
        return self.align(self.hamburger(self.squeeze(together)))


def _ham_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `NMF2D` by the names that configs have for them, in either case.

    Raises:
        ValueError: an unknown setting.
    """
    given = {key.upper(): value for key, value in settings.items()}
    unknown = sorted(set(given) - _HAM_KEYS)
    if unknown:
        raise ValueError(f"ham_kwargs has {unknown[0]!r}; it knows {', '.join(sorted(_HAM_KEYS))}")
    return {
        "spatial": given.get("SPATIAL", True),
        "groups": given.get("MD_S", 1),
        "num_bases": given.get("MD_R", 64),
        "train_steps": given.get("TRAIN_STEPS", 6),
        "eval_steps": given.get("EVAL_STEPS", 7),
        "rand_init": given.get("RAND_INIT", True),
    }
