"""Self-contained HTML pages: a separation, songs, a leaderboard, instruments. Numbers in, a file out, no torch."""

from soli.report.data import (
    ActivityCurves,
    ClassCodes,
    ClusterTable,
    DimensionPanels,
    EmbeddingMap,
    Excerpt,
    Figure,
    Panel,
    QueryPanels,
    ReportData,
    SearchCurves,
    SearchPath,
    SeparationGrid,
    TrainingCurves,
)
from soli.report.page import render, write_page, write_report

__all__ = [
    "ActivityCurves",
    "ClassCodes",
    "ClusterTable",
    "DimensionPanels",
    "EmbeddingMap",
    "Excerpt",
    "Figure",
    "Panel",
    "QueryPanels",
    "ReportData",
    "SearchCurves",
    "SearchPath",
    "SeparationGrid",
    "TrainingCurves",
    "render",
    "write_page",
    "write_report",
]
