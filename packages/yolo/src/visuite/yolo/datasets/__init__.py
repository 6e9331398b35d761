"""Data sets of the YOLO family, and how their samples become batches."""

from visuite.yolo.datasets.base import YOLOv5Dataset
from visuite.yolo.datasets.batch_shape import BatchShapePolicy
from visuite.yolo.datasets.collate import yolov5_collate
from visuite.yolo.datasets.data_yaml import DataYaml, label_path, list_images, read_data_yaml
from visuite.yolo.datasets.formats import YOLOv5CocoDataset, YOLOv5CrowdHumanDataset, YOLOv5VOCDataset
from visuite.yolo.datasets.yolo_format import LabelReader, YOLODataset

__all__ = [
    "BatchShapePolicy",
    "DataYaml",
    "LabelReader",
    "YOLODataset",
    "YOLOv5CocoDataset",
    "YOLOv5CrowdHumanDataset",
    "YOLOv5Dataset",
    "YOLOv5VOCDataset",
    "label_path",
    "list_images",
    "read_data_yaml",
    "yolov5_collate",
]
