"""Self-contained HTML pages: one separation, songs of a dataset, a leaderboard. Numbers in, a file out, no torch."""

from soli.report.data import (
    ClassCodes,
    ClusterTable,
    DimensionPanels,
    EmbeddingMap,
    Excerpt,
    Figure,
    Panel,
    QueryPanels,
    ReportData,
    SeparationGrid,
    TrainingCurves,
)
from soli.report.page import render, write_page, write_report

__all__ = [
    "ClassCodes",
    "ClusterTable",
    "DimensionPanels",
    "EmbeddingMap",
    "Excerpt",
    "Figure",
    "Panel",
    "QueryPanels",
    "ReportData",
    "SeparationGrid",
    "TrainingCurves",
    "render",
    "write_page",
    "write_report",
]
