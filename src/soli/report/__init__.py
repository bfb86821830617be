"""One self-contained HTML page about one separation. Plain numpy in, a file out; torch is never imported here."""

from soli.report.data import DimensionPanels, EmbeddingMap, Panel, QueryPanels, ReportData
from soli.report.page import render, write_report

__all__ = ["DimensionPanels", "EmbeddingMap", "Panel", "QueryPanels", "ReportData", "render", "write_report"]
