"""Count the modules of svc that a command imports, and those in which it calls a function.

python tools/count_modules.py convert -s '#0' SONG.wav
"""

import sys
import threading
from types import FrameType

from svc.cli import load_commands
from svc.cli.app import app


def main(arguments: list[str]) -> None:
    """Run a command of ``svc`` and print the counts; packages' ``__init__.py`` are left out."""
    called = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_flags & 0x2 and not frame.f_code.co_qualname.startswith("<"):
            called.add(frame.f_code.co_filename)

    load_commands(arguments[:1])
    threading.setprofile(note)
    sys.setprofile(note)
    app(arguments, standalone_mode=False)
    sys.setprofile(None)
    modules = {n: m.__file__ or "" for n, m in list(sys.modules.items()) if n.startswith("svc.")}
    files = {name: file for name, file in modules.items() if not file.endswith("__init__.py")}
    running = sorted(name for name, file in files.items() if file in called)
    print(f"{len(files)} modules imported, functions called in {len(running)}: {' '.join(running)}")


if __name__ == "__main__":
    main(sys.argv[1:])
