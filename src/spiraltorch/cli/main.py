"""The command line: `spiraltorch demo | devices`."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Optional

import typer

from ..errors import SpiralTorchError

app = typer.Typer(add_completion=False, no_args_is_help=True, help="SpiralTorch: a tensor runtime for Python.")


@app.command()
def demo(
    device: Annotated[str, typer.Option(help="Where to run, such as cpu:0.")] = "cpu",
    model: Annotated[str, typer.Option(help="mlp, convnet or transformer.")] = "convnet",
    epochs: Annotated[Optional[int], typer.Option(help="Passes over the training images.")] = None,  # noqa: UP045
    seed: Annotated[int, typer.Option(help="Seed of parameters, batches and dropout.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    checkpoint: Annotated[Optional[str], typer.Option(help="Where to save the model.")] = None,  # noqa: UP045
) -> None:
    """Train on the UCI handwritten digits, save, load, and report."""
    from .demo import run

    run(model, device, epochs, seed, as_json, checkpoint)


@app.command()
def devices(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List every installed backend with its devices and facts, or the reason why it has none."""
    from ..runtime import device as registry

    found = {}
    for name, backend in sorted(registry.backends().items()):
        entry: dict[str, object] = {"devices": backend.devices(), "reason": backend.reason()}
        entry["facts"] = {
            d: {
                "vector_bytes": t.vector_bytes, "registers": t.registers, "threads": t.threads, "l1_bytes": t.l1_bytes,
                "l2_bytes": t.l2_bytes, "dtypes": sorted(x.name for x in t.dtypes),
            }
            for d in backend.devices()
            for t in [registry.get(d).target]
        }  # fmt: skip
        found[name] = entry
    if as_json:
        print(json.dumps(found))
        return
    for name, entry in found.items():
        if not entry["devices"]:
            print(f"{name}: unavailable: {entry['reason']}")
        for d, facts in entry["facts"].items():  # type: ignore[attr-defined]
            shown = ", ".join(f"{k} {v}" for k, v in facts.items() if k != "dtypes")
            print(f"{d}: {shown}")


def main() -> None:
    """The entry point. Errors of this package are one line on stderr and exit code 2."""
    try:
        app()
    except SpiralTorchError as error:
        print(f"spiraltorch: {error}", file=sys.stderr)
        sys.exit(2)
