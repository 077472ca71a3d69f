"""Series: windows of long ones, ragged ones, and forecasts."""

from kvae.series.forecast import Forecast as Forecast
from kvae.series.forecast import forecast as forecast
from kvae.series.pad import pad as pad
from kvae.series.windows import windows as windows
