"""Pages and pictures about trained models."""

from kvae.reports.anomaly_report import anomaly_report as anomaly_report
from kvae.reports.compare_report import compare_report as compare_report
from kvae.reports.pictures import image_grid as image_grid
from kvae.reports.report import report as report
