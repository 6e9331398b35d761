"""What heads compute, against plain definitions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.seg.contracts import batch
from tests.seg.variants import BACKBONES, HEADS
from visuite.cv.ops import point_sample, psa_mask
from visuite.seg.heads import DAHead, DMHead, EncHead, FPNHead, IterativeDecodeHead, LRASPPHead, PSAHead
from visuite.seg.heads.apc_head import ACM
from visuite.seg.heads.da_head import CAM
from visuite.seg.heads.dm_head import DCM
from visuite.seg.heads.ema_head import EMAModule
from visuite.seg.heads.enc_head import Encoding, present_classes
from visuite.seg.heads.ham_head import NMF2D, Hamburger, scattered
from visuite.seg.heads.isa_head import ISAHead
from visuite.seg.heads.knet_head import KernelUpdateHead, KernelUpdator
from visuite.seg.heads.lraspp_head import LargePooling
from visuite.seg.heads.nl_head import DisentangledNonLocal2d
from visuite.seg.heads.ocr_head import SpatialGatherModule
from visuite.seg.heads.point_head import uncertainty
from visuite.seg.heads.stdc_head import STDCHead
from visuite.seg.layers import ConvOptions

PLAIN = ConvOptions(act_cfg=None)


def head(kind: type, **arguments: Any) -> Any:
    return kind(**{"in_channels": 4, "in_index": 0, "channels": 4, "num_classes": 3, **arguments}).eval()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_encoding_by_loops() -> None:
    layer = Encoding(3, 4)
    x = torch.randn(2, 3, 2, 5)
    expected = torch.zeros(2, 4, 3)
    for b in range(2):
        for pixel in x[b].flatten(1).T:
            residual = pixel - layer.codewords
            share = (layer.scale * residual.square().sum(1)).softmax(0)
            expected[b] += share[:, None] * residual
    torch.testing.assert_close(layer(x), expected)


def test_which_classes_are_there() -> None:
    labels = torch.tensor([[[[0, 2], [2, 255]]], [[[255, 255], [255, 7]]]])
    assert present_classes(labels, 3).tolist() == [[1, 0, 1], [0, 0, 0]]


def test_enc_head_learns_which_classes_are_there() -> None:
    one = HEADS["enc"].make()
    data = one.data_preprocessor(batch(), True)
    losses = one(**data, mode="loss")
    assert "decode.loss_se" in losses
    without = head(EncHead, in_channels=[4], in_index=[0], use_se_loss=False)
    assert not any("se_layer" in name for name in without.state_dict())


def test_gathering_by_class_is_a_weighed_mean() -> None:
    feats, scores = torch.randn(2, 3, 2, 2), torch.randn(2, 5, 2, 2)
    found = SpatialGatherModule(2)(feats, scores)
    share = (2 * scores).flatten(2).softmax(-1)
    expected = torch.stack([(feats.flatten(2) * share[:, k, None]).sum(-1) for k in range(5)], -1)[..., None]
    torch.testing.assert_close(found, expected)


def test_channel_attention_looks_at_unlike_channels() -> None:
    cam, x = CAM(), torch.randn(1, 3, 2, 2)
    assert torch.equal(cam(x), x)
    cam.gamma.scale.data.fill_(0.5)
    flat = x[0].flatten(1)
    alike = flat @ flat.T
    share = (alike.max(1, keepdim=True).values - alike).softmax(1)
    torch.testing.assert_close(cam(x)[0].flatten(1), flat + 0.5 * share @ flat)


def test_da_head_learns_by_three_scores_and_predicts_by_one() -> None:
    one = head(DAHead, pam_channels=2)
    feats = [torch.randn(2, 4, 8, 8)]
    losses = one.loss(feats, batch((16, 16))["data_samples"])
    assert set(losses) == {f"{b}.{n}" for b in ("pam_cam", "pam", "cam") for n in ("loss_ce", "acc_seg")}
    pam, cam = one._attend(feats)
    torch.testing.assert_close(one(feats), one.conv_seg(pam + cam))


def test_disentangled_attention_by_loops() -> None:
    block = DisentangledNonLocal2d(4, temperature=0.5, zeros_init=False).eval()
    x = torch.randn(1, 4, 2, 3)
    theta, phi, g = (part(x)[0].flatten(1) for part in (block.theta, block.phi, block.g))
    theta, phi = theta - theta.mean(1, keepdim=True), phi - phi.mean(1, keepdim=True)
    pair = (theta.T @ phi / 2**0.5 / 0.5).softmax(1)
    unary = block.conv_mask(x)[0].flatten(1).softmax(1)
    inside = (pair @ g.T).T + (g * unary).sum(1, keepdim=True)
    torch.testing.assert_close(block(x), x + block.conv_out(inside.reshape(1, 2, 2, 3)))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_dynamic_filters_image_by_image(size: int) -> None:
    module = DCM(size, 4, channels=3, fusion=False, options=PLAIN)
    x = torch.randn(2, 4, 5, 6)
    found = module(x)
    reduced, filters = module.input_redu_conv(x), module.filter_gen_conv(F.adaptive_avg_pool2d(x, size))
    for b in range(2):
        for c in range(3):
            before, after = size - 1 - (size - 1) // 2, (size - 1) // 2
            padded = F.pad(reduced[b, c][None, None], (before, after, before, after))
            torch.testing.assert_close(found[b, c], F.conv2d(padded, filters[b, c][None, None])[0, 0])


def test_adaptive_context_by_the_formula() -> None:
    module = ACM(2, 4, channels=3, fusion=False, options=PLAIN)
    x = torch.randn(1, 4, 4, 6)
    cells = module.pooled_redu_conv(F.adaptive_avg_pool2d(x, 2)).flatten(2)
    reduced = module.input_redu_conv(x)
    affinity = module.gla(reduced + module.global_info(F.adaptive_avg_pool2d(reduced, 1))).sigmoid()
    found = torch.einsum("bcs,bsyx->bcyx", cells, affinity)
    torch.testing.assert_close(module(x), (module.residual_conv(found) + reduced).relu())


def test_expectation_maximisation_by_loops() -> None:
    module = EMAModule(3, 2, num_stages=2, momentum=0.3).train()
    x, start = torch.randn(2, 3, 2, 2), module.bases.clone()
    told, found = [], []
    for image in x.flatten(2):
        bases = start[0]
        for _ in range(2):
            share = (image.T @ bases).softmax(1)
            bases = F.normalize(image @ (share / share.sum(0)), dim=0)
        told.append((bases @ share.T).reshape(3, 2, 2))
        found.append(bases)
    torch.testing.assert_close(module(x), torch.stack(told))
    moved = start[0] * 0.7 + 0.3 * F.normalize(torch.stack(found).mean(0), dim=0)
    torch.testing.assert_close(module.bases[0], moved)
    module.eval()(x)
    torch.testing.assert_close(module.bases[0], moved)


def test_interlaced_attention_reaches_far_and_near_pixels() -> None:
    """Behind both attentions each pixel depends on all others; in front of the second on every second one alone."""
    one = head(ISAHead, isa_channels=2, down_factor=(2, 2))
    x = torch.randn(1, 4, 5, 6, requires_grad=True)
    one._relate(x)[0, :, 2, 3].sum().backward()
    assert (x.grad[0].abs().sum(0) > 0).all()
    one.local_relation = nn.Identity()
    x.grad = None
    one._relate(x)[0, :, 2, 3].sum().backward()
    reached = x.grad[0].abs().sum(0) > 0
    rows, columns = (torch.arange(n) for n in (5, 6))
    assert torch.equal(reached, (rows % 2 == 0)[:, None] & (columns % 2 == 1))


def test_interlacing_alone_changes_nothing() -> None:
    one = head(ISAHead, isa_channels=2, down_factor=(3, 2))
    one.local_relation = one.global_relation = nn.Identity()
    for size in ((6, 8), (7, 5), (2, 1)):
        x = torch.randn(2, 4, *size)
        assert torch.equal(one._relate(x), x)


@pytest.mark.parametrize("kind", ["collect", "distribute", "bi-direction"])
def test_point_wise_attention_by_loops(kind: str) -> None:
    one = head(PSAHead, mask_size=3, psa_type=kind, shrink_factor=1, channels=4)
    x, masks = torch.randn(1, 2, 3, 4), torch.randn(1, 9, 3, 4)
    for direction in ("collect", "distribute") if kind == "bi-direction" else (kind,):
        found = one._gather(x, masks, direction)
        laid = psa_mask(masks, direction, 3).reshape(12, 12).softmax(0)
        torch.testing.assert_close(found.reshape(2, 12), x.reshape(2, 12) @ laid)
    names = {name.split(".")[0] for name in one.state_dict()}
    assert ("reduce_p" in names) == (kind == "bi-direction")


def test_point_wise_attention_is_compact_or_not() -> None:
    """A compact mask holds a weight for each pixel of the map, in its order."""
    one = head(PSAHead, mask_size=(2, 3), compact=True, psa_softmax=False, normalization_factor=None)
    x, masks = torch.randn(1, 2, 2, 3), torch.randn(1, 6, 2, 3)
    weights = masks.reshape(6, 6)
    torch.testing.assert_close(one._gather(x, masks, "collect").reshape(2, 6), x.reshape(2, 6) @ weights / 6)
    torch.testing.assert_close(one._gather(x, masks, "distribute").reshape(2, 6), x.reshape(2, 6) @ weights.T / 6)
    with pytest.raises(ValueError, match="psa_type is one of"):
        head(PSAHead, mask_size=3, psa_type="both")


def test_fpn_head_enlarges_to_the_finest_map() -> None:
    one = head(FPNHead, in_channels=[4, 4, 4], in_index=[0, 1, 2], feature_strides=[4, 8, 32])
    assert [len(branch) for branch in one.scale_heads] == [1, 2, 6]
    maps = [torch.randn(1, 4, 16 // s, 16 // s) for s in (1, 2, 8)]
    assert one.forward_feature(maps).shape == (1, 4, 16, 16)
    with pytest.raises(ValueError, match="the least first"):
        head(FPNHead, in_channels=[4, 4], in_index=[0, 1], feature_strides=[8, 4])


def test_large_cells_and_small_maps() -> None:
    pool = LargePooling((49, 49), (16, 20))
    x = torch.randn(1, 2, 64, 128)
    assert torch.equal(pool(x), F.avg_pool2d(x, 49, (16, 20)))
    small = torch.randn(1, 2, 5, 60)
    assert torch.equal(pool(small), F.avg_pool2d(small, (5, 49), (16, 20)))
    with pytest.raises(ValueError, match="takes 3 maps"):
        head(LRASPPHead, in_channels=[4, 4], in_index=[0, 1], input_transform="multiple_select")


def test_factors_come_nearer_to_the_map() -> None:
    x = torch.rand(2, 6, 5, 4)
    errors = [float((NMF2D(num_bases=3, eval_steps=steps).eval()(x) - x).norm()) for steps in (0, 2, 20)]
    assert errors[0] > errors[1] > errors[2]
    exact = torch.rand(1, 6, 3) @ torch.rand(1, 3, 20)
    told = NMF2D(num_bases=3, eval_steps=2000).eval()(exact.reshape(1, 6, 5, 4))
    torch.testing.assert_close(told.reshape(1, 6, 20), exact, atol=0.02, rtol=0.02)


def test_factors_over_pixels_or_channels_and_in_groups() -> None:
    x = torch.rand(2, 6, 5, 4)
    turned = x.flatten(2).transpose(1, 2)[..., None]  # pixels as channels
    over_channels = NMF2D(spatial=False, num_bases=3).eval()(x)
    torch.testing.assert_close(over_channels.flatten(2).transpose(1, 2)[..., None], NMF2D(num_bases=3).eval()(turned))
    groups = NMF2D(groups=2, num_bases=3).eval()(x)
    halves = [NMF2D(num_bases=3).eval()(one) for one in x.split(3, dim=1)]
    torch.testing.assert_close(groups, torch.cat(halves, 1))


def test_bases_are_new_in_training_and_fixed_otherwise() -> None:
    ham, x = NMF2D(num_bases=3), torch.rand(2, 6, 5, 4)
    assert not torch.equal(ham.train()(x), ham.train()(x))
    assert torch.equal(ham.eval()(x), ham.eval()(x))
    fixed = NMF2D(num_bases=3, rand_init=False).train()
    assert torch.equal(fixed(x), fixed(x))
    numbers = scattered(64, 16, torch.device("cpu"))
    assert len(numbers.unique()) > 1000
    assert 0 < numbers.min() < 0.01
    assert 0.99 < numbers.max() < 1
    assert abs(torch.corrcoef(numbers.T) - torch.eye(16)).max() < 0.5
    with pytest.raises(ValueError, match="'MD_Q'; it knows"):
        Hamburger(4, {"MD_Q": 1}, options=PLAIN)


def updator(**arguments: Any) -> KernelUpdator:
    return KernelUpdator(4, 3, act_cfg={"type": "Tanh"}, **arguments).eval()


def test_kernels_are_told_anew_by_the_formula() -> None:
    one = updator(gate_norm_act=True, activate_out=True)
    found, kernels = torch.randn(1, 2, 4), torch.randn(1, 2, 9, 4)
    told = one(found, kernels)
    for n in range(2):
        for place in range(9):
            f_in, f_out = one.dynamic_layer(found[0, n]).split(3)
            k_in, k_out = one.input_layer(kernels[0, n, place]).split(3)
            gate = one.gate_norm(f_in * k_in).tanh()
            new = one.norm_in(one.update_gate(gate)).sigmoid() * one.norm_out(f_out).tanh()
            old = one.input_norm_in(one.input_gate(gate)).sigmoid() * one.input_norm_out(k_out).tanh()
            torch.testing.assert_close(told[0, n, place], one.fc_norm(one.fc_layer(new + old)).tanh())


def test_kernels_in_parts_are_told_part_by_part() -> None:
    one, found, kernels = updator(), torch.randn(2, 3, 8), torch.randn(2, 3, 1, 8)
    parts = [one(a, b) for a, b in zip(found.split(4, -1), kernels.split(4, -1), strict=True)]
    torch.testing.assert_close(one(found, kernels), torch.cat(parts, -1))


@pytest.mark.parametrize("size", [1, 3])
def test_kernels_convolve_their_own_image(size: int) -> None:
    step = KernelUpdateHead(3, in_channels=4, out_channels=4, conv_kernel_size=size, num_heads=2).eval()
    x, filters = torch.randn(2, 4, 5, 6), torch.randn(2, 3, 4, size * size)
    found = step._convolve(x, filters)
    for b in range(2):
        expected = F.conv2d(x[b : b + 1], filters[b].reshape(3, 4, size, size), padding=size // 2)
        torch.testing.assert_close(found[b : b + 1], expected)


def test_steps_of_k_net() -> None:
    model = HEADS["knet"].make().eval()
    one: IterativeDecodeHead = model.decode_head
    maps = model.extract_feat(torch.randn(2, 3, 64, 64))
    stages = one.stages(maps)
    assert len(stages) == 3
    torch.testing.assert_close(stages[0], one.kernel_generate_head(maps))
    torch.testing.assert_close(one(maps), stages[-1])
    losses = one.loss(maps, batch((64, 64))["data_samples"])
    assert set(losses) == {f"{name}.s{i}" for name in ("loss_ce", "acc_seg") for i in range(3)}
    with pytest.raises(ValueError, match="num_stages=2 entries, not 1"):
        IterativeDecodeHead(2, one.kernel_generate_head, kernel_update_head=[one.kernel_update_head[0]])


def test_edges_of_the_truth() -> None:
    one = head(STDCHead, num_classes=2, num_convs=1, concat_input=False)
    labels = torch.zeros(1, 1, 16, 16, dtype=torch.long)
    labels[..., 9:] = 1
    found = one.edges_of(labels)
    assert found.unique().tolist() == [0, 1]
    assert found[0, 0, 4, 9] == 1
    assert found[0, 0, 4, 2] == 0
    edge = torch.zeros(16, 16, dtype=torch.bool)
    for stride in (1, 2):  # the third weighs 0.1, which alone does not exceed the threshold
        for y in range(0, 16, stride):
            for x in range(0, 16, stride):
                window = F.pad(labels[0, 0], (1, 1, 1, 1))[y : y + 3, x : x + 3]
                steep = 9 * window[1, 1] - window.sum() > 0.1
                if steep:
                    edge[y : y + stride, x : x + stride] = True
    assert torch.equal(found[0, 0] == 1, edge)
    assert "fusion_kernel" in one.state_dict()
    assert "laplacian_kernel" not in one.state_dict()


def test_points_are_classified_where_scores_are_in_doubt() -> None:
    model = HEADS["point"].make().eval()
    _, last = model.decode_head
    maps = model.extract_feat(torch.randn(1, 3, 64, 64))
    coarse = torch.randn(1, 3, 4, 4)
    cfg = {"subdivision_steps": 1, "subdivision_num_points": 5, "scale_factor": 2}
    refined = last(maps, coarse, cfg)
    enlarged = F.interpolate(coarse, size=(8, 8), mode="bilinear")
    changed = (refined != enlarged).any(1)[0]
    top = enlarged[0].topk(2, dim=0).values
    doubt = (top[1] - top[0]).flatten().topk(5).indices
    assert set(changed.flatten().nonzero().flatten().tolist()) == set(doubt.tolist())
    y, x = divmod(int(doubt[0]), 8)
    point = torch.tensor([[[(x + 0.5) / 8, (y + 0.5) / 8]]])
    fine = point_sample(maps[0], point)
    seen = point_sample(coarse, point)
    told = torch.cat([fine, seen], 1)
    for layer in last.fcs:
        told = torch.cat([layer(told), seen], 1)
    torch.testing.assert_close(refined[0, :, y, x], last.fc_seg(told)[0, :, 0])
    assert torch.equal(last(maps, coarse, {**cfg, "subdivision_steps": 0}), coarse)


def test_points_of_the_truth() -> None:
    model = HEADS["point"].make()
    losses = model(**model.data_preprocessor(batch(), True), mode="loss")
    assert {"decode_1.pointloss_ce", "decode_1.acc_point"} <= set(losses)
    model.train_cfg = {}
    with pytest.raises(ValueError, match="needs num_points, oversample_ratio, importance_sample_ratio"):
        model(**model.data_preprocessor(batch(), True), mode="loss")
    assert uncertainty(torch.tensor([[[3.0], [1.0], [2.5]]])).item() == -0.5
    assert uncertainty(torch.tensor([[[-3.0, 0.5]]])).tolist() == [[-3.0, -0.5]]


def test_heads_of_several_branches_say_what_they_miss() -> None:
    for name in ("ddrnet", "pidnet_small"):
        model = BACKBONES[name].make().eval()
        with pytest.raises(ValueError, match="in training mode"):
            model(**model.data_preprocessor(batch(), True), mode="loss")
        with pytest.raises(ValueError, match="losses"):
            BACKBONES[name].make(loss_decode={"type": "CrossEntropyLoss"})


def test_dm_head_lays_maps_side_by_side() -> None:
    one = head(DMHead, filter_sizes=(1, 3))
    x = [torch.randn(1, 4, 5, 5)]
    parts = [x[0], *(module(x[0]) for module in one.dcm_modules)]
    torch.testing.assert_close(one(x), one.conv_seg(one.bottleneck(torch.cat(parts, 1))))
