from visuite.engine.structures.base_data_element import BaseDataElement, typed_field
from visuite.engine.structures.instance_data import InstanceData
from visuite.engine.structures.label_data import LabelData
from visuite.engine.structures.pixel_data import PixelData

__all__ = ["BaseDataElement", "InstanceData", "LabelData", "PixelData", "typed_field"]
