"""`statewide hazards …`: bring hazard layers in, and lay parcels and addresses over them."""

from __future__ import annotations

import typer

from resilience.layer_commands import list_, load
from resilience.loss_commands import loss
from resilience.overlay_commands import changes, overlay, overlay_file

app = typer.Typer(help="Hazards: load a layer, and lay parcels and addresses over it.", no_args_is_help=True)
app.command()(load)
app.command(name="list")(list_)
app.command()(overlay)
app.command()(overlay_file)
app.command()(changes)
app.command()(loss)
