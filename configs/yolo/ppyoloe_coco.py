# PP-YOLOE+ (arXiv:2203.16250); 8 processes of 8 images.
_base_ = ["_base_/ppyoloe.py", "_base_/ppyoloe_recipe.py"]

sizes = dict(s=(0.33, 0.5, "s_obj365_pretrained-bcfe8478"), m=(0.67, 0.75, "m_ojb365_pretrained-03206892"))
sizes.update(l=(1.0, 1.0, "l_obj365_pretrained-3dd89562"), x=(1.33, 1.25, "x_obj365_pretrained-43a8000d"))
size = "{{$SIZE:s}}"
work_dir = f"work_dirs/ppyoloe_{size}_coco"
deepen, widen, name = sizes[size]
load_from = f"https://download.openmmlab.com/mmyolo/v0/ppyoloe/ppyoloe_pretrain/ppyoloe_plus_{name}.pth"
of_size = dict(deepen_factor=deepen, widen_factor=widen)
model = dict(backbone=of_size, neck=of_size, bbox_head=dict(head_module=dict(widen_factor=widen)))
