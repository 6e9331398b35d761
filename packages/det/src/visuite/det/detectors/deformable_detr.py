"""Deformable DETR: queries look at a few points of several maps (Zhu et al., arXiv:2010.04159).

Shapes: B images, C channels of the tokens, L levels, H_l and W_l the size of a level's map, S pixels of all levels
together, Q queries, R numbers of a reference: 2 (a point) or 4 (a box `cxcywh`), in parts of the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers import SinePositionalEncoding
from visuite.cv.ops import MultiScaleDeformableAttention
from visuite.det.detectors.base import BaseDetector, Part, Samples, build_with, check_channels
from visuite.det.detectors.detr import whole_or_padded
from visuite.det.heads.deformable_detr_head import refined
from visuite.det.layers.transformer import Transformer
from visuite.det.registry import MODELS

Cfg = Mapping[str, Any]


@dataclass(frozen=True)
class Memory:
    """What the encoder made of a batch.

    Attributes:
        tokens: (B, S, C).
        padding: (B, S) bool, where there is no image.
        shapes: (H_l, W_l) of each level.
        valid_ratios: (B, L, 2), which part of each map is image, in x and y.
    """

    tokens: torch.Tensor
    padding: torch.Tensor
    shapes: Sequence[tuple[int, int]]
    valid_ratios: torch.Tensor


@MODELS.register_module()
class DeformableDETR(BaseDetector):
    """A backbone, a neck, a transformer with deformable attention, and a head for its queries.

    Names of parameters: backbone, neck, level_embed, encoder.layers.i, decoder.layers.i, bbox_head; query_embedding and
    reference_points_fc, or with two stages memory_trans_fc, memory_trans_norm, pos_trans_fc, pos_trans_norm.

    Args:
        backbone: Images to maps.
        neck: To L maps of C channels.
        encoder: Arguments of `Transformer`.
        decoder: Arguments of `Transformer`.
        bbox_head: Config of the head, which is told what branches it has; or an object that has them.
        positional_encoding: Arguments of `SinePositionalEncoding`; twice its `num_feats` is C.
        num_queries: Q.
        num_feature_levels: L.
        with_box_refine: Each layer moves the boxes of the one before.
        as_two_stage: The encoder's best pixels propose the queries.
        train_cfg: Settings of the head while training.
        test_cfg: Its settings while predicting.
        data_preprocessor: Config or object.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: parts that are for other channels than they get.
    """

    def __init__(
        self,
        backbone: Part,
        neck: Part | None = None,
        *,
        encoder: Cfg,
        decoder: Cfg,
        bbox_head: Part,
        positional_encoding: Cfg,
        num_queries: int = 300,
        num_feature_levels: int = 4,
        with_box_refine: bool = False,
        as_two_stage: bool = False,
        train_cfg: Cfg | None = None,
        test_cfg: Cfg | None = None,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.num_queries = num_queries
        self.with_box_refine, self.as_two_stage = with_box_refine, as_two_stage
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        self.encoder = Transformer(**_with_levels(encoder, num_feature_levels), deformable=True)
        self.decoder = Transformer(**_with_levels(decoder, num_feature_levels), deformable=True)
        layers, width = self.decoder.num_layers, self.encoder.embed_dims
        branches = {
            "share_pred_layer": not with_box_refine,
            "num_pred_layer": layers + 1 if as_two_stage else layers,
            "as_two_stage": as_two_stage,
        }
        told = {**bbox_head, **branches} if isinstance(bbox_head, Mapping) else bbox_head
        self.bbox_head = build_with(told, train_cfg=train_cfg, test_cfg=test_cfg)
        self.positional_encoding = SinePositionalEncoding(**positional_encoding)
        self.level_embed = nn.Parameter(torch.empty(num_feature_levels, width))
        if as_two_stage:
            self.memory_trans_fc, self.memory_trans_norm = nn.Linear(width, width), nn.LayerNorm(width)
            self.pos_trans_fc, self.pos_trans_norm = nn.Linear(width * 2, width * 2), nn.LayerNorm(width * 2)
        else:
            self.query_embedding = nn.Embedding(num_queries, width * 2)
            self.reference_points_fc = nn.Linear(width, 2)
        nn.init.normal_(self.level_embed)
        check_channels(self.backbone, getattr(self, "neck", None), None)

    def init_weights(self) -> None:
        """Initialise the weights, those of the transformer by Xavier's rule, its deformable parts by their own."""
        super().init_weights()
        for part in (self.encoder, self.decoder):
            for weight in part.parameters():
                if weight.dim() > 1:
                    nn.init.xavier_uniform_(weight)
            for layer in part.modules():
                if isinstance(layer, MultiScaleDeformableAttention):
                    layer.is_init = False
                    layer.init_weights()
        linear = (self.memory_trans_fc, self.pos_trans_fc) if self.as_two_stage else (self.reference_points_fc,)
        for one in linear:
            nn.init.xavier_uniform_(one.weight)
            nn.init.zeros_(one.bias)
        nn.init.normal_(self.level_embed)

    def loss(self, batch_inputs: torch.Tensor, batch_data_samples: Samples) -> dict[str, Any]:
        """Return the losses of images (B, 3, H, W)."""
        tokens, references, proposals = self._queries(batch_inputs, batch_data_samples)
        return self.bbox_head.loss(tokens, references, batch_data_samples=batch_data_samples, proposals=proposals)

    def predict(self, batch_inputs: torch.Tensor, batch_data_samples: Samples, rescale: bool = True) -> list[Any]:
        """Return the samples of images (B, 3, H, W) with `pred_instances`."""
        tokens, references, _ = self._queries(batch_inputs, batch_data_samples)
        found = self.bbox_head.predict(tokens, references, batch_data_samples=batch_data_samples, rescale=rescale)
        return self.add_pred_to_datasample(batch_data_samples, found)

    def tensors(self, batch_inputs: torch.Tensor, batch_data_samples: Samples | None = None) -> Any:
        """Return scores (layers, B, Q, K) and boxes (layers, B, Q, 4); without samples, images fill the batch."""
        tokens, references, _ = self._queries(batch_inputs, batch_data_samples)
        return self.bbox_head(tokens, references)

    # ------------------------------------------------------------------ the encoder's side

    def _queries(
        self, inputs: torch.Tensor, samples: Samples | None
    ) -> tuple[torch.Tensor, list[torch.Tensor], tuple[torch.Tensor, torch.Tensor] | None]:
        """Return tokens (layers, B, Q, C), what each layer saw before it, and the encoder's scores and boxes."""
        memory = self._encode(inputs, samples)
        if self.as_two_stage:
            query, query_pos, reference, proposals = self._propose(memory)
        else:
            query_pos, query = self.query_embedding.weight.expand(len(inputs), -1, -1).chunk(2, dim=-1)
            reference, proposals = self.reference_points_fc(query_pos).sigmoid(), None
        tokens, references = self._decode(query, query_pos, reference, memory)
        return tokens, references, proposals

    def _encode(self, inputs: torch.Tensor, samples: Samples | None) -> Memory:
        feats = self.extract_feat(inputs)
        shapes = [(x.shape[-2], x.shape[-1]) for x in feats]
        whole = whole_or_padded(inputs, samples)
        masks = [F.interpolate(whole[:, None], size=shape).squeeze(1).bool() for shape in shapes]
        positions = [
            self.positional_encoding(mask).flatten(2).transpose(1, 2) + embed
            for mask, embed in zip(masks, self.level_embed, strict=True)
        ]
        ratios = torch.stack([_valid_ratio(mask) for mask in masks], dim=1)
        padding = torch.cat([mask.flatten(1) for mask in masks], dim=1)
        tokens = torch.cat([x.flatten(2).transpose(1, 2) for x in feats], dim=1)
        tokens = self.encoder(
            tokens,
            torch.cat(positions, dim=1),
            padding=padding,
            reference_points=_pixel_centres(shapes, ratios),
            spatial_shapes=shapes,
        )
        return Memory(tokens, padding, shapes, ratios)

    def _propose(
        self, memory: Memory
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Return the queries (B, Q, C) that the best pixels make, their positions and boxes; all scores and boxes."""
        start, inside = _pixel_boxes(memory)
        tokens = memory.tokens.masked_fill(~inside[..., None], 0)
        tokens = self.memory_trans_norm(self.memory_trans_fc(tokens))
        last = self.decoder.num_layers
        scores = self.bbox_head.cls_branches[last](tokens)
        raw = self.bbox_head.reg_branches[last](tokens) + start
        best = scores[..., 0].topk(min(self.num_queries, scores.shape[1]), dim=1).indices
        chosen = raw.gather(1, best[..., None].expand(-1, -1, 4)).detach()
        position = self.pos_trans_norm(self.pos_trans_fc(_sines(chosen.sigmoid(), self.encoder.embed_dims // 2)))
        query_pos, query = position.chunk(2, dim=-1)
        return query, query_pos, chosen.sigmoid(), (scores, raw.sigmoid())

    # ------------------------------------------------------------------ the decoder's side

    def _decode(
        self, query: torch.Tensor, query_pos: torch.Tensor, reference: torch.Tensor, memory: Memory
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the tokens behind each layer, and the references (B, Q, R) before each, and behind the last."""
        tokens, references = [], [reference]
        for index, layer in enumerate(self.decoder.layers):
            ratios = memory.valid_ratios if reference.shape[-1] == 2 else memory.valid_ratios.repeat(1, 1, 2)
            query = layer(
                query,
                query_pos,
                memory=memory.tokens,
                padding=memory.padding,
                reference_points=reference[:, :, None] * ratios[:, None],
                spatial_shapes=memory.shapes,
            )
            if self.with_box_refine:
                reference = refined(self.bbox_head.reg_branches[index](query), reference).detach()
            tokens.append(self.decoder.normed(query))
            references.append(reference)
        return torch.stack(tokens), references


def _with_levels(cfg: Cfg, num_levels: int) -> dict[str, Any]:
    """Tell the deformable attention of a transformer's layers how many maps there are."""
    layer = dict(cfg["layer_cfg"])
    key = "cross_attn_cfg" if "cross_attn_cfg" in layer else "self_attn_cfg"
    layer[key] = {"num_levels": num_levels, **layer[key]}
    return {**cfg, "layer_cfg": layer}


def _valid_ratio(mask: torch.Tensor) -> torch.Tensor:
    """Return which part of a map is image, in x and y (B, 2), of a mask (B, H, W) of where there is none."""
    return torch.stack([(~mask[:, 0]).float().mean(dim=1), (~mask[:, :, 0]).float().mean(dim=1)], dim=1)


def _grid(shape: tuple[int, int], device: torch.device) -> torch.Tensor:
    """Return the centres (H * W, 2), x and y in pixels, of a map's pixels."""
    y, x = (torch.arange(size, device=device, dtype=torch.float32) + 0.5 for size in shape)
    return torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=-1).flatten(0, 1)


def _pixel_centres(shapes: Sequence[tuple[int, int]], ratios: torch.Tensor) -> torch.Tensor:
    """Return where each pixel is on each level's map (B, S, L, 2), given which part of each map is image (B, L, 2)."""
    centres = []
    for level, (height, width) in enumerate(shapes):
        size = ratios.new_tensor([width, height])
        centres.append(_grid((height, width), ratios.device) / (ratios[:, level, None] * size))
    return torch.cat(centres, dim=1)[:, :, None] * ratios[:, None]


def _pixel_boxes(memory: Memory) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a box (B, S, 4) around each pixel, before the sigmoid, and which of them lie well inside (B, S)."""
    boxes = []
    for level, (height, width) in enumerate(memory.shapes):
        size = memory.valid_ratios[:, level, None] * memory.valid_ratios.new_tensor([width, height])
        centre = _grid((height, width), size.device) / size
        boxes.append(torch.cat([centre, torch.full_like(centre, 0.05 * 2.0**level)], dim=-1))
    box = torch.cat(boxes, dim=1)
    inside = ((box > 0.01) & (box < 0.99)).all(dim=-1) & ~memory.padding
    return torch.logit(box).masked_fill(~inside[..., None], float("inf")), inside


def _sines(boxes: torch.Tensor, num_feats: int, temperature: float = 10000.0) -> torch.Tensor:
    """Return sines and cosines (B, Q, 4 * F) of boxes (B, Q, 4)."""
    wave = temperature ** (2 * (torch.arange(num_feats, device=boxes.device) // 2) / num_feats)
    phase = boxes[..., None] * (2 * torch.pi) / wave
    return torch.stack([phase[..., 0::2].sin(), phase[..., 1::2].cos()], dim=-1).flatten(2)
