"""The command line: `spiraltorch demo | devices | verify | matrix | cache | trace | tune | bench | --version`."""

from __future__ import annotations

import sys
from typing import Annotated, Optional

import typer

from ..errors import SpiralTorchError

app = typer.Typer(add_completion=False, no_args_is_help=True)


def _print_version(requested: bool) -> None:
    """Prints the version and exits, for `--version`."""
    if requested:
        from .. import __version__

        print(f"spiraltorch {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """SpiralTorch: a tensor runtime for Python."""


@app.command(epilog="Example: spiraltorch demo --model mlp --epochs 5")
def demo(
    device: Annotated[str, typer.Option(help="The device, such as cpu:0.")] = "cpu",
    model: Annotated[str, typer.Option(help="The model: mlp, convnet or transformer.")] = "convnet",
    epochs: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Number of epochs.", show_default="the model's own"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of parameters, batches and dropout, from 0 to 2**64 - 1.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    checkpoint: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="File that the trained model is saved to.",
            show_default="spiraltorch-demo-MODEL.safetensors in the temporary folder",
        ),
    ] = None,
) -> None:
    """Train a model on the UCI handwritten digits, save it, load it again, and print a report."""
    from .demo import run

    run(model, device, epochs, seed, as_json, checkpoint)


@app.command(epilog="Example: spiraltorch devices --json")
def devices(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List every backend with its devices and their facts, or the reason why it has none."""
    from .devices import run

    run(as_json)


@app.command(epilog="Example: spiraltorch verify --backend cpu --row tensor-ops")
def verify(
    backend: Annotated[Optional[str], typer.Option(help="One backend, such as cpu; all by default.")] = None,  # noqa: UP045
    row: Annotated[Optional[str], typer.Option(help="One row, such as tensor-ops; all by default.")] = None,  # noqa: UP045
    record: Annotated[bool, typer.Option("--record", help="Record the results as evidence.")] = False,
    evidence: Annotated[Optional[str], typer.Option(help="Folder of evidence; the package's by default.")] = None,  # noqa: UP045
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Run the probes of the capability matrix; exit with 1 if a recorded ✅ no longer holds."""
    from .verify import run

    raise typer.Exit(run(backend, row, record, evidence, as_json))


@app.command(epilog="Example: spiraltorch matrix --format html -o matrix.html")
def matrix(
    form: Annotated[str, typer.Option("--format", help="Output format: table, markdown, json or html.")] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="Same as --format json.")] = False,
    output: Annotated[Optional[str], typer.Option("--output", "-o", help="File to write instead of stdout.")] = None,  # noqa: UP045
    evidence: Annotated[Optional[str], typer.Option(help="Folder of evidence; the package's by default.")] = None,  # noqa: UP045
    write: Annotated[Optional[str], typer.Option(help="Markdown file whose table is updated.")] = None,  # noqa: UP045
) -> None:
    """Print the capability matrix, computed from recorded evidence."""
    from .matrix import run

    run("json" if as_json else form, output, evidence, write)


@app.command(epilog="Example: spiraltorch cache --clear")
def cache(
    show: Annotated[bool, typer.Option("--show", help="Print folder, files and bytes; done in any case.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove the compiled kernels first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Show the cache of compiled kernels on disk, or clear it."""
    from .cache import run

    run(clear, as_json)


@app.command(
    context_settings={"ignore_unknown_options": True},
    epilog="Example: spiraltorch trace train.py --epochs 1 -o trace.json",
)
def trace(
    script: Annotated[str, typer.Argument(help="Python program to run.")],
    args: Annotated[
        list[str] | None,
        typer.Argument(help="Arguments of the program; put -- before arguments that are also options of this command."),
    ] = None,
    output: Annotated[str, typer.Option("-o", "--output", help="File of the trace.")] = "trace.json",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; output of SCRIPT goes to stderr.")
    ] = False,
) -> None:
    """Run SCRIPT as a program and write a Chrome trace of it, which https://ui.perfetto.dev opens."""
    from .trace import run

    sys.exit(run(script, args or [], output, as_json))


@app.command(epilog="Example: spiraltorch bench --rows gelu,matmul256 --rounds 1")
def bench(
    suite: Annotated[str, typer.Option(help="The suite of rows: cpu.")] = "cpu",
    peers: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help='Libraries to compare with: any of torch,torch-compile,jax,numpy; "" for none.',
            show_default="all that are installed",
        ),
    ] = None,
    threads: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Threads of every library.", show_default="2, or 1 on one processor"),
    ] = None,
    rows: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Rows to measure, such as gelu,mlp; an unknown name lists all.", show_default="all"),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Rounds of each row; slow rows have fewer.")] = 7,
    seconds: Annotated[float, typer.Option(help="Duration of a round in seconds.")] = 0.3,
    scaling: Annotated[bool, typer.Option("--scaling", help="Measure scaling curves instead of the rows.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; progress goes to stderr.")] = False,
    write: Annotated[
        bool,
        typer.Option("--write", help="Write the results to docs/performance.md and the README; needs an idle machine."),
    ] = False,
) -> None:
    """Compare speed with other libraries and check results against float64; exit with 1 if a result is wrong."""
    from .bench import run

    raise typer.Exit(run(suite, peers, threads, rows, rounds, seconds, scaling, as_json, write))


@app.command(
    context_settings={"ignore_unknown_options": True},
    epilog="Example: spiraltorch tune train.py --epochs 1 --seconds 2",
)
def tune(
    script: Annotated[Optional[str], typer.Argument(help="Python program to run.")] = None,  # noqa: UP045
    args: Annotated[
        list[str] | None,
        typer.Argument(help="Arguments of the program; put -- before arguments that are also options of this command."),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Time limit of the search for one kernel, in seconds.")] = 10.0,
    show: Annotated[bool, typer.Option("--show", help="Print all entries of the tuning store.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all entries of the tuning store first.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; output of SCRIPT goes to stderr.")
    ] = False,
) -> None:
    """Run SCRIPT and search a faster schedule for each of its kernels; later runs use the results."""
    from .tune import run

    sys.exit(run(script, args or [], seconds, show, clear, as_json))


def main() -> None:
    """The entry point of the command. An error of this package prints one line on stderr and exits with 2."""
    try:
        app()
    except SpiralTorchError as error:
        print(f"spiraltorch: {error}", file=sys.stderr)
        sys.exit(2)
