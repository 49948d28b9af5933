"""The command line: `spiraltorch demo | devices | verify | matrix | trace | tune | bench | --version`."""

from __future__ import annotations

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
    """List every backend with its devices and facts, or the reason why it has none and what would change that."""
    from .devices import run

    run(as_json)


@app.command()
def verify(
    backend: Annotated[Optional[str], typer.Option(help="One backend, such as cpu; all by default.")] = None,  # noqa: UP045
    row: Annotated[Optional[str], typer.Option(help="One row, such as tensor-ops; all by default.")] = None,  # noqa: UP045
    record: Annotated[bool, typer.Option("--record", help="Keep what was measured as evidence.")] = False,
    evidence: Annotated[Optional[str], typer.Option(help="The folder of evidence; the package's by default.")] = None,  # noqa: UP045
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run the probes of the capability matrix; exit with 1 where a recorded ✅ no longer holds."""
    from .verify import run

    raise typer.Exit(run(backend, row, record, evidence, as_json))


@app.command()
def matrix(
    form: Annotated[str, typer.Option("--format", help="table, markdown, json or html.")] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    output: Annotated[Optional[str], typer.Option("--output", "-o", help="A file instead of the screen.")] = None,  # noqa: UP045
    evidence: Annotated[Optional[str], typer.Option(help="The folder of evidence; the package's by default.")] = None,  # noqa: UP045
    write: Annotated[Optional[str], typer.Option(help="Bring the table in this Markdown file up to date.")] = None,  # noqa: UP045
) -> None:
    """Show which capability works on which backend, by recorded evidence."""
    from .matrix import run

    run("json" if as_json else form, output, evidence, write)


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


@app.command()
def bench(
    suite: Annotated[str, typer.Option(help="What the rows run on: cpu.")] = "cpu",
    peers: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help='Some of torch,torch-compile,jax,numpy; "" for none.', show_default="all that are installed"),
    ] = None,
    threads: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Threads of every library.", show_default="2, or 1 where there is one processor"),
    ] = None,
    rows: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Names of rows, such as gelu,mlp; all by default, and a wrong one lists them."),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Rounds of each library; slow rows have fewer.")] = 7,
    seconds: Annotated[float, typer.Option(help="Seconds of calls in a round.")] = 0.3,
    scaling: Annotated[
        bool, typer.Option("--scaling", help="Curves over threads, sizes and graphs in place of the rows.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; progress goes to stderr.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Put it into docs/performance.md and the README; needs an idle machine.")
    ] = False,
) -> None:
    """Time rows of work beside other libraries, checked against float64; exit with 1 where a result here is wrong."""
    from .bench import run

    raise typer.Exit(run(suite, peers, threads, rows, rounds, seconds, scaling, as_json, write))


@app.command(context_settings={"ignore_unknown_options": True})
def tune(
    script: Annotated[Optional[str], typer.Argument(help="A Python program.")] = None,  # noqa: UP045
    args: Annotated[list[str] | None, typer.Argument(help="Its arguments; those after -- are not read here.")] = None,
    seconds: Annotated[float, typer.Option(help="How long the search for one kernel may take.")] = 10.0,
    show: Annotated[bool, typer.Option("--show", help="Print what was tried and won, of all kernels.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Forget what was found, first.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; what SCRIPT prints goes to stderr.")
    ] = False,
) -> None:
    """Run SCRIPT and search a better schedule for each of its kernels; later runs use what was found."""
    from .tune import run

    sys.exit(run(script, args or [], seconds, show, clear, as_json))


def main() -> None:
    """The entry point. Errors of this package are one line on stderr and exit code 2."""
    try:
        app()
    except SpiralTorchError as error:
        print(f"spiraltorch: {error}", file=sys.stderr)
        sys.exit(2)
