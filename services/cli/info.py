"""``zkshare info``: the back end, the processor, and where things are kept."""

import typer

from services.cli.output import AsJson, say

SHOWN = ("bmi2", "adx", "avx2", "avx512f", "avx512dq", "avx512ifma")
"""Features of x86-64 processors that matter here; eight lanes need the last three."""

app = typer.Typer(add_completion=False)


@app.command()
def info(as_json: AsJson = False) -> None:
    """Say which back end runs, what the processor has, and where kernels and keys are kept."""
    import platform

    import numba
    from llvmlite import binding

    from services.keys import home
    from zkcore import cpu, kernel_cache

    folder = kernel_cache.cache_folder()
    data = {
        "python": platform.python_version(),
        "numba": numba.__version__,
        "back_end": cpu.BACKEND,
        "processor": binding.get_host_cpu_name(),
        "processor_features": [name for name in SHOWN if binding.get_host_cpu_features().get(name, False)],
        "kernel_cache": str(folder) if folder else None,
        "kernel_cache_warm": bool(folder and any(folder.rglob("*.nbc"))),
        "home": str(home()),
    }
    lines = (f"{name.replace('_', ' ')}: {readable(value)}" for name, value in data.items())
    say(as_json, data, "\n".join(lines))


def readable(value: object) -> str:
    """A value for a person: lists as words, yes and no, and "none" for what is not there."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(value) if isinstance(value, list) else str(value or "none")
