"""DETR: a fixed number of queries, each of which becomes an object or none (Carion et al., arXiv:2005.12872).

Shapes: B images, C channels of the tokens, H rows, W columns, S = H * W pixels of the map, Q queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visuite.cv.layers import SinePositionalEncoding
from visuite.det.detectors.base import BaseDetector, Features, Part, Samples, build_with, check_channels
from visuite.det.layers.transformer import LAYER_NORM, Transformer, padding_masks
from visuite.det.registry import MODELS

Cfg = Mapping[str, Any]


@MODELS.register_module()
class DETR(BaseDetector):
    """A backbone, a transformer, and a head for its queries.

    Names of parameters: backbone, neck, encoder.layers.i, decoder.layers.i, decoder.post_norm, query_embedding,
    bbox_head.

    Args:
        backbone: Images to maps.
        neck: To one map of C channels.
        encoder: Arguments of `Transformer`.
        decoder: Arguments of `Transformer`.
        bbox_head: Tokens to losses and objects.
        positional_encoding: Arguments of `SinePositionalEncoding`; twice its `num_feats` is C.
        num_queries: Q.
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
        num_queries: int = 100,
        train_cfg: Cfg | None = None,
        test_cfg: Cfg | None = None,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        self.bbox_head = build_with(bbox_head, train_cfg=train_cfg, test_cfg=test_cfg)
        self.encoder = Transformer(**encoder)
        self.decoder = Transformer(**{"post_norm_cfg": LAYER_NORM, "return_intermediate": True, **decoder})
        self.embed_dims = self.encoder.embed_dims
        self.positional_encoding = SinePositionalEncoding(**positional_encoding)
        if 2 * self.positional_encoding.num_feats != self.embed_dims:
            feats = self.positional_encoding.num_feats
            raise ValueError(
                f"positional_encoding.num_feats is {feats}, half of embed_dims {self.embed_dims} is needed"
            )
        self.query_embedding = nn.Embedding(num_queries, self.embed_dims)
        check_channels(self.backbone, getattr(self, "neck", None), None)

    def init_weights(self) -> None:
        """Initialise the weights, those of the transformer by Xavier's rule."""
        super().init_weights()
        for part in (self.encoder, self.decoder):
            for weight in part.parameters():
                if weight.dim() > 1:
                    nn.init.xavier_uniform_(weight)

    def loss(self, batch_inputs: torch.Tensor, batch_data_samples: Samples) -> dict[str, Any]:
        """Return the losses of images (B, 3, H, W)."""
        tokens = self._queries(batch_inputs, batch_data_samples)
        return self.bbox_head.loss(tokens, batch_data_samples=batch_data_samples)

    def predict(self, batch_inputs: torch.Tensor, batch_data_samples: Samples, rescale: bool = True) -> list[Any]:
        """Return the samples of images (B, 3, H, W) with `pred_instances`."""
        tokens = self._queries(batch_inputs, batch_data_samples)
        found = self.bbox_head.predict(tokens, batch_data_samples=batch_data_samples, rescale=rescale)
        return self.add_pred_to_datasample(batch_data_samples, found)

    def tensors(self, batch_inputs: torch.Tensor, batch_data_samples: Samples | None = None) -> Any:
        """Return scores (layers, B, Q, K + 1) and boxes (layers, B, Q, 4); without samples, images fill the batch."""
        return self.bbox_head(self._queries(batch_inputs, batch_data_samples))

    def _queries(self, inputs: torch.Tensor, samples: Samples | None) -> torch.Tensor:
        """Return what the queries have become behind each layer of the decoder, (layers, B, Q, C)."""
        feats: Features = self.extract_feat(inputs)
        x = feats[-1]
        padding = whole_or_padded(inputs, samples)
        padding = F.interpolate(padding[:, None], size=x.shape[-2:]).squeeze(1).bool()
        position = self.positional_encoding(padding).flatten(2).transpose(1, 2).to(x.dtype)  # (B, S, C)
        outside = padding.flatten(1)
        memory = self.encoder(x.flatten(2).transpose(1, 2), position, padding=outside)
        query_pos = self.query_embedding.weight.expand(len(x), -1, -1)
        return self.decoder(torch.zeros_like(query_pos), query_pos, memory=memory, memory_pos=position, padding=outside)


def whole_or_padded(inputs: torch.Tensor, samples: Samples | None) -> torch.Tensor:
    """Return where a batch (B, C, H, W) holds no image, (B, H, W) float; nowhere, if nothing is known of the images."""
    if samples is None:
        return torch.zeros((len(inputs), *inputs.shape[-2:]), device=inputs.device)
    size = (inputs.shape[-2], inputs.shape[-1])
    return padding_masks([sample.metainfo for sample in samples], size, inputs.device)
