"""From the mask of a region to a mask of the image.

Shapes: N objects, m x m the mask of an object, H and W the image's size.
"""

from __future__ import annotations

import torch

#: What is computed at a time is limited to so many pixels of all objects: 0.5 GB of float32.
_PIXELS = 1 << 27


def paste_masks(masks: torch.Tensor, boxes: torch.Tensor, size: tuple[int, int], threshold: float) -> torch.Tensor:
    """Lay masks over their boxes, read between their pixels bilinearly, and compare with a threshold.

    Along an axis, each pixel of the image is a weighted sum of two of the mask's. So a pasted mask is a product of
    three small matrices, rows x mask x columns, and only pixels inside a box have to be computed.

    Args:
        masks: (N, m, m), between 0 and 1.
        boxes: (N, 4), in pixels of the image.
        size: H and W.
        threshold: From where on a pixel belongs to the object. Below 0: give the masks themselves, as bytes 0..255.

    Returns:
        (N, H, W) bool, or uint8.
    """
    height, width = size
    out = torch.zeros(
        (len(masks), height, width), dtype=torch.bool if threshold >= 0 else torch.uint8, device=masks.device
    )
    paste = _paste_each if masks.device.type == "cpu" else _paste_together
    paste(out, masks, boxes, threshold)
    return out


def _paste_together(out: torch.Tensor, masks: torch.Tensor, boxes: torch.Tensor, threshold: float) -> None:
    """Paste all masks at a time, or as many as memory allows."""
    height, width = out.shape[1:]
    for part in torch.arange(len(masks), device=masks.device).split(max(1, _PIXELS // max(height * width, 1))):
        rows = _weights(boxes[part, 1], boxes[part, 3], torch.arange(height, device=masks.device), masks.shape[1])
        columns = _weights(boxes[part, 0], boxes[part, 2], torch.arange(width, device=masks.device), masks.shape[2])
        out[part] = _cut(rows @ masks[part] @ columns.transpose(1, 2), threshold)


def _paste_each(out: torch.Tensor, masks: torch.Tensor, boxes: torch.Tensor, threshold: float) -> None:
    """Paste one mask after another, each inside its box alone: without thousands of threads, that is less work."""
    height, width = out.shape[1:]
    # A pixel beside the box still sees half of the mask's last one.
    half = (boxes[:, 2:] - boxes[:, :2]) / (2 * boxes.new_tensor([masks.shape[2], masks.shape[1]]))
    around = torch.cat([(boxes[:, :2] - half).floor(), (boxes[:, 2:] + half).ceil()], dim=1).T
    limits = around.new_tensor([width, height, width, height])[:, None]
    for index, (x1, y1, x2, y2) in enumerate(around.clamp(min=0).minimum(limits).long().T.tolist()):
        if x2 <= x1 or y2 <= y1:
            continue
        box = boxes[index : index + 1]
        rows = _weights(box[:, 1], box[:, 3], torch.arange(y1, y2), masks.shape[1])[0]
        columns = _weights(box[:, 0], box[:, 2], torch.arange(x1, x2), masks.shape[2])[0]
        out[index, y1:y2, x1:x2] = _cut(rows @ masks[index] @ columns.T, threshold)


def _weights(start: torch.Tensor, stop: torch.Tensor, pixels: torch.Tensor, count: int) -> torch.Tensor:
    """Return how much each of a mask's `count` pixels gives to each pixel of the image on one axis, (N, P, count)."""
    place = (pixels + 0.5 - start[:, None]) / (stop - start).clamp(min=1e-6)[:, None] * count - 0.5
    distance = place[..., None] - torch.arange(count, device=place.device)
    return (1 - distance.abs()).clamp(min=0)


def _cut(values: torch.Tensor, threshold: float) -> torch.Tensor:
    return values >= threshold if threshold >= 0 else (values * 255).to(torch.uint8)
