"""The command line: `spiraltorch demo | devices | trace | --version`."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Optional

import typer

from ..errors import SpiralTorchError

app = typer.Typer(add_completion=False, no_args_is_help=True)


def _version(asked: bool) -> None:
    if asked:
        from .. import __version__

        print(f"spiraltorch {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """SpiralTorch: a tensor runtime for Python."""


@app.command()
def demo(
    device: Annotated[str, typer.Option(help="Where to run, such as cpu:0.")] = "cpu",
    model: Annotated[str, typer.Option(help="mlp, convnet or transformer.")] = "convnet",
    epochs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Passes over the training images.", show_default="as many as the model needs"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of parameters, batches and dropout, 0 to 2**64 - 1.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    checkpoint: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="The file to save the model in.",
            show_default="spiraltorch-demo-MODEL.safetensors in the temporary folder",
        ),
    ] = None,
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


@app.command(context_settings={"ignore_unknown_options": True})
def trace(
    script: Annotated[str, typer.Argument(help="A Python program.")],
    args: Annotated[list[str] | None, typer.Argument(help="Its arguments; those after -- are not read here.")] = None,
    output: Annotated[str, typer.Option("-o", "--output", help="Where to write the trace.")] = "trace.json",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; what SCRIPT prints goes to stderr.")
    ] = False,
) -> None:
    """Run SCRIPT as a program and write a Chrome trace of it, for https://ui.perfetto.dev."""
    from .trace import run

    sys.exit(run(script, args or [], output, as_json))


def main() -> None:
    """The entry point. Errors of this package are one line on stderr and exit code 2."""
    try:
        app()
    except SpiralTorchError as error:
        print(f"spiraltorch: {error}", file=sys.stderr)
        sys.exit(2)
