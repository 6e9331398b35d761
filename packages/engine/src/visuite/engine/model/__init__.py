"""What models are built on: initialisation, steps, preprocessing, averaging, checkpoints."""

from visuite.engine.model.averaged import (
    BaseAveragedModel,
    ExpMomentumEMA,
    ExponentialMovingAverage,
    MomentumAnnealingEMA,
    StochasticWeightAverage,
)
from visuite.engine.model.base_model import BaseModel, parse_losses
from visuite.engine.model.base_module import BaseModule, ModuleDict, ModuleList, Sequential
from visuite.engine.model.batching import merge_dict, stack_batch
from visuite.engine.model.checkpoint_io import (
    find_state_dict,
    get_state_dict,
    load_checkpoint,
    load_state_dict,
    read_checkpoint,
    revise_keys,
    weights_to_cpu,
)
from visuite.engine.model.checkpoint_names import register_checkpoint_resolver
from visuite.engine.model.data_preprocessor import BaseDataPreprocessor, ImgDataPreprocessor
from visuite.engine.model.distributed import MMDistributedDataParallel, detect_anomalous_params
from visuite.engine.model.init_journal import update_init_info
from visuite.engine.model.key_maps import Conversion, KeyMap, convert_state_dict, register_key_map
from visuite.engine.model.load_report import CheckpointError, LoadReport
from visuite.engine.model.sync_batchnorm import convert_sync_batchnorm, revert_sync_batchnorm
from visuite.engine.model.tta import BaseTTAModel
from visuite.engine.model.weight_init import (
    BaseInit,
    Caffe2XavierInit,
    ConstantInit,
    KaimingInit,
    NormalInit,
    PretrainedInit,
    TruncNormalInit,
    UniformInit,
    XavierInit,
    bias_init_with_prob,
    caffe2_xavier_init,
    constant_init,
    initialize,
    kaiming_init,
    normal_init,
    trunc_normal_init,
    uniform_init,
    xavier_init,
)
from visuite.engine.model.wrapping import is_model_wrapper, unwrap_model

__all__ = [
    "BaseAveragedModel",
    "BaseDataPreprocessor",
    "BaseInit",
    "BaseModel",
    "BaseModule",
    "BaseTTAModel",
    "Caffe2XavierInit",
    "CheckpointError",
    "ConstantInit",
    "Conversion",
    "ExpMomentumEMA",
    "ExponentialMovingAverage",
    "ImgDataPreprocessor",
    "KaimingInit",
    "KeyMap",
    "LoadReport",
    "MMDistributedDataParallel",
    "ModuleDict",
    "ModuleList",
    "MomentumAnnealingEMA",
    "NormalInit",
    "PretrainedInit",
    "Sequential",
    "StochasticWeightAverage",
    "TruncNormalInit",
    "UniformInit",
    "XavierInit",
    "bias_init_with_prob",
    "caffe2_xavier_init",
    "constant_init",
    "convert_state_dict",
    "convert_sync_batchnorm",
    "detect_anomalous_params",
    "find_state_dict",
    "get_state_dict",
    "initialize",
    "is_model_wrapper",
    "kaiming_init",
    "load_checkpoint",
    "load_state_dict",
    "merge_dict",
    "normal_init",
    "parse_losses",
    "read_checkpoint",
    "register_checkpoint_resolver",
    "register_key_map",
    "revert_sync_batchnorm",
    "revise_keys",
    "stack_batch",
    "trunc_normal_init",
    "uniform_init",
    "unwrap_model",
    "update_init_info",
    "weights_to_cpu",
    "xavier_init",
]
