"""``zkshare down``: the end of what ``zkshare up`` started; all data stays."""

import typer

from services.cli.asking import Where, local, telling
from services.cli.output import AsJson, say

app = typer.Typer(add_completion=False)


@app.command()
def down(directory: Where = None, as_json: AsJson = False) -> None:
    """Stop the network on this machine: each process finishes what it does. Exit status 1 if one does not end."""
    from services.local import processes

    folder = local(directory)
    stopped: list[str] = []
    with telling(as_json):
        folder.facts()
        left = {name: processes.running(folder, name) for name in processes.stop(folder, None, stopped.append)}
    lines = [f"stopped {', '.join(stopped)}" if stopped else "nothing was running"]
    lines += [f"{name} did not end; see {folder.log(name)}, or: kill -9 {number}" for name, number in left.items()]
    again = "zkshare up" if directory is None else f"zkshare up {directory}"
    lines.append(f"the data stays; start again with: {again}")
    say(as_json, {"stopped": stopped, "left": list(left)}, "\n".join(lines))
    raise typer.Exit(1 if left else 0)
