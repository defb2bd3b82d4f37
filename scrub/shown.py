"""How values show themselves: they ask here, and `report` answers. The only look upward in the house."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure


@overload
def shown(value: object, face: Literal["text", "html"]) -> str: ...
@overload
def shown(value: object, face: Literal["plot"]) -> Figure: ...
@overload
def shown(value: object, face: Literal["frame"]) -> pd.DataFrame: ...
def shown(value: object, face: Literal["text", "html", "plot", "frame"]) -> Any:
    """A value as words, HTML, a plotly figure or a pandas table: what `report.faces` has for its class.

    Raises ScrubError for a plot where plotly is not installed.
    """
    from scrub.report.faces import face_of

    return face_of(value, face)(value)
