"""What a model costs, how fast a run is, and how it went."""

from visuite.engine.analysis.chart import Line, chart_sheet, line_chart
from visuite.engine.analysis.complexity import (
    ActivationAnalyzer,
    Complexity,
    FlopAnalyzer,
    activation_count,
    flop_count,
    get_model_complexity_info,
    measure,
    parameter_count,
    parameter_count_table,
)
from visuite.engine.analysis.logs import Curve, read_curves, read_records
from visuite.engine.analysis.matrix import matrix_chart
from visuite.engine.analysis.speed import LoaderSpeed, StepSpeed, loader_speeds, step_speeds

__all__ = [
    "ActivationAnalyzer",
    "Complexity",
    "Curve",
    "FlopAnalyzer",
    "Line",
    "LoaderSpeed",
    "StepSpeed",
    "activation_count",
    "chart_sheet",
    "flop_count",
    "get_model_complexity_info",
    "line_chart",
    "loader_speeds",
    "matrix_chart",
    "measure",
    "parameter_count",
    "parameter_count_table",
    "read_curves",
    "read_records",
    "step_speeds",
]
