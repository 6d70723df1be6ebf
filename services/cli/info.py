"""``zkshare info``: the back end, the processor, and where things are kept."""

import typer

from services.cli.output import AsJson, say

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
        "kernel_cache": str(folder) if folder else None,
        "kernel_cache_warm": bool(folder and any(folder.rglob("*.nbc"))),
        "home": str(home()),
    }
    say(as_json, data, "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in data.items()))
